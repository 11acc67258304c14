// Micro-benchmarks of single parts: one line of JSON for each value, then a table.
//   npm run bench                              all
//   npm run bench -- decoder picker            some
//   npm run bench -- --folder /mnt/disk storage
import { mkdirSync, rmSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { Benchmark, Measurement } from './benchmark.ts'
import { bencode } from './bencode.ts'
import { decoder } from './decoder.ts'
import { encoder } from './encoder.ts'
import { hashing } from './hashing.ts'
import { installSize } from './install-size.ts'
import { memory } from './memory.ts'
import { picker } from './picker.ts'
import { rarity } from './rarity.ts'
import { readable } from './readable.ts'
import { scratchFolder } from './scratch.ts'
import { startup } from './startup.ts'
import { storage } from './storage.ts'
import { crowd, transfer } from './transfer.ts'

const benchmarks: readonly Benchmark[] = [
  decoder,
  encoder,
  bencode,
  picker,
  rarity,
  hashing,
  storage,
  transfer,
  crowd,
  memory,
  startup,
  installSize
]

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { folder: { type: 'string' } }
})
const known = benchmarks.map(({ name }) => name)
const unknown = names.find((name) => !known.includes(name))
if (unknown !== undefined) {
  console.error(`There is no benchmark '${unknown}'. There are: ${known.join(', ')}`)
  process.exit(2)
}

const chosen = benchmarks.filter(({ name }) => names.length === 0 || names.includes(name))
const root = scratchFolder(options.folder)
const all: Measurement[] = []
for (const { name, run } of chosen) {
  const folder = path.join(root, name)
  mkdirSync(folder)
  for (const measurement of await run(folder)) {
    console.log(JSON.stringify({ benchmark: name, ...measurement }))
    all.push(measurement)
  }
  rmSync(folder, { recursive: true, force: true })
}
console.log(
  `\nNode ${process.version}, ${availableParallelism()} cores, ${cpus()[0]?.model ?? process.arch}\n`
)
console.log('| measured | value | unit |\n|---|---:|---|')
for (const { name, value, unit } of all) console.log(`| ${name} | ${readable(value)} | ${unit} |`)
// The shared pool of hash threads may still be waiting for work.
process.exit(0)
