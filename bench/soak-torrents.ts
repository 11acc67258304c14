// Ten torrents with pieces of 16 KiB to 512 MiB in one client with its usual memory, seeds that come and go, and two readers; first each
// reader in a client of its own.
//   npm run soak -- --torrents                       ten minutes alone, ten together
//   npm run soak -- --torrents --minutes 1 --seed 2  another schedule; also --library OTHER/dist, a compiled copy
// The rules are in soak-rules.ts.
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { toHex } from '../lib/util/bytes.ts'
import type { CrowdTask } from './crowd-process.ts'
import { Helper } from './helper.ts'
import { ownLibrary } from './other-library.ts'
import { infoHashOf, Pattern } from './pattern.ts'
import { scratchFolder } from './scratch.ts'
import { type Subject, staysOf, subjects } from './soak-plan.ts'
import type { SoakedSubject, SoakReport, SoakTask } from './soak-process.ts'
import { judge } from './soak-rules.ts'

/**
 * A torrent may wait for memory until another one has downloaded its share: a tenth of 48 MiB at 1 MB/s takes 5 s. This is twice
 * that, because the machine may have other work.
 */
const patienceMs = 10_000
const { values: options } = parseArgs({
  options: {
    torrents: { type: 'boolean' },
    minutes: { type: 'string', default: '10' },
    library: { type: 'string', default: ownLibrary },
    seed: { type: 'string', default: '1' },
    folder: { type: 'string', default: tmpdir() }
  }
})
const minutes = positive('minutes')
const seed = positive('seed')
const root = scratchFolder(options.folder)

interface Prepared {
  readonly subject: SoakedSubject
  readonly infoHash: string
  /** Number of the torrent: its schedule and its network of seeds. */
  readonly number: number
}

const all = subjects.map((subject, n) => prepare(subject, n + 1))
const read = all.filter(({ subject }) => subject.bitRate !== undefined)
console.log(
  `${minutes} min alone: readers of ${read.map(({ subject }) => subject.name).join(' and ')}, each in a client of its own`
)
const alone = await Promise.all(read.map((one) => run([one])))
console.log(`${minutes} min together: ${all.length} torrents`)
const together = await run(all)

const faults = judge(alone, together, subjects)
console.log(`CPU of the client ${together.cpuSeconds.toFixed(1)} s`)
for (const text of faults) console.log(`FAULT ${text}`)
console.log(faults.length === 0 ? 'clean' : `${faults.length} faults`)
process.exit(faults.length === 0 ? 0 : 1)

function prepare(subject: Subject, number: number): Prepared {
  const { bytes, metainfo } = new Pattern(subject).torrent(`${number}.bin`)
  const torrent = path.join(root, `${number}.torrent`)
  writeFileSync(torrent, bytes)
  return {
    subject: { ...subject, torrent, seed: 1000 * seed + number },
    infoHash: toHex(infoHashOf(metainfo)),
    number
  }
}

/** Runs one client with these torrents for the whole time. */
async function run(prepared: readonly Prepared[]): Promise<SoakReport> {
  const folder = path.join(root, prepared.map(({ number }) => number).join('-'))
  mkdirSync(folder)
  const crowd = new Helper('crowd-process')
  const target = new Helper('soak-process')
  try {
    const task: SoakTask = {
      library: options.library,
      folder,
      subjects: prepared.map(({ subject }) => subject),
      patienceMs
    }
    await target.call('open', task)
    const began = performance.now()
    const until = (ms: number): Promise<void> => sleep(Math.max(0, ms - (performance.now() - began)))
    await Promise.race([
      Promise.all(prepared.map((one, index) => comeAndGo(one, index, crowd, target, until))),
      until(minutes * 60_000)
    ])
    return await target.call<SoakReport>('report')
  } finally {
    await Promise.all([crowd.stop(), target.stop()])
  }
}

async function comeAndGo(
  { subject, infoHash, number }: Prepared,
  index: number,
  crowd: Helper,
  target: Helper,
  until: (ms: number) => Promise<void>
): Promise<void> {
  const { pieceLength, length, bytesPerSecond } = subject
  const peers = [{ bytesPerSecond, part: 1 }]
  await Promise.all(
    staysOf(subject, subject.seed, minutes).map(async ({ fromMs, untilMs }, n) => {
      await until(fromMs)
      // Each seed has a new address, so that no back-off of an earlier dial delays it.
      const host = `127.${number}.${n >> 7}.${(n & 127) + 1}`
      const task: CrowdTask = { pieceLength, length, infoHash, peers, host }
      const [port] = await crowd.call<number[]>('start', task)
      const address = `${host}:${port}`
      await target.call('come', { index, address })
      await until(untilMs)
      await target.call('go', { index, address })
      await crowd.call('stop', address)
    })
  )
}

function positive(name: 'minutes' | 'seed'): number {
  const value = Number(options[name])
  if (value > 0) return value
  throw new Error(`--${name} must be a number above 0, not '${options[name]}'`)
}
