// Benchmarks that take minutes: crowds of peers, uploads, checks, large torrents, slow disks. Linux. One line of JSON for each value of
// each round, then for each median and ratio, then a table.
//   npm run bench:scale                        all
//   npm run bench:scale -- crowds check        some
//   npm run bench:scale -- --rounds 1 --size 128 crowds
// --size is the data in MiB; --folder its folder (default: a file system in memory with enough space, if there is one); --cache the folder of
// the other libraries.
import { mkdirSync, rmSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { Measurement } from './benchmark.ts'
import { check } from './check.ts'
import { crowds } from './crowds.ts'
import { manyPieces } from './many-pieces.ts'
import { readable } from './readable.ts'
import { defaultCache } from './rivals.ts'
import { Rounds, type ScaleBenchmark } from './rounds.ts'
import { scratchFolder } from './scratch.ts'
import { seeding } from './seeding.ts'
import { slowDisk } from './slow-disk.ts'

const benchmarks: readonly ScaleBenchmark[] = [crowds, seeding, check, manyPieces, slowDisk]

/** The largest check, with some reserve. */
const neededBytes = 10 * 2 ** 30

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    cache: { type: 'string', default: defaultCache() },
    folder: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    size: { type: 'string' }
  }
})
const known = benchmarks.map(({ name }) => name)
const unknown = names.find((name) => !known.includes(name))
if (unknown !== undefined) {
  console.error(`There is no benchmark '${unknown}'. There are: ${known.join(', ')}`)
  process.exit(2)
}
const rounds = positive('rounds', options.rounds)
const mebibytes = options.size === undefined ? undefined : positive('size', options.size)

const root = scratchFolder(options.folder, neededBytes)
const all: Measurement[] = []
for (const { name, run } of benchmarks) {
  if (names.length > 0 && !names.includes(name)) continue
  const folder = path.join(root, name)
  mkdirSync(folder)
  const rounded = new Rounds(name)
  await run({ folder, rounds, mebibytes, cache: options.cache, rounded })
  rmSync(folder, { recursive: true, force: true })
  for (const measurement of rounded.medians()) {
    console.log(JSON.stringify({ benchmark: name, rounds, ...measurement }))
    all.push(measurement)
  }
}
console.log(
  `\nNode ${process.version}, ${availableParallelism()} cores, ${cpus()[0]?.model ?? process.arch}, medians of ${rounds}\n`
)
console.log('| measured | value | unit |\n|---|---:|---|')
for (const { name, value, unit } of all) console.log(`| ${name} | ${readable(value)} | ${unit} |`)
process.exit(0)

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  console.error(`--${name} must be a whole number above 0, not '${text}'`)
  process.exit(2)
}
