// Ten torrents with pieces of 16 KiB to 512 MiB in one client with its usual memory, seeds that come and go, and two readers; first each
// reader in a client of its own.
//   npm run soak -- --torrents                       ten minutes alone, ten together
//   npm run soak -- --torrents --minutes 1 --seed 2  another schedule; also --library OTHER/dist, a compiled copy
// Rules: a torrent that has a seed gets blocks, a reader waits as long as alone and at most a fifth longer, memory keeps its limit.
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
import type { MemoryReport, ReaderReport, SoakedSubject, SoakReport, SoakTask } from './soak-process.ts'
import type { TorrentReport } from './soaked-torrent.ts'

const mebibyte = 1 << 20
/**
 * A torrent may wait for memory until another one has fetched its share: a tenth of 48 MiB at 1 MB/s takes 5 s. Twice that, because this
 * machine may have other work.
 */
const patienceMs = 10_000
/** How much longer than alone a reader may wait, and for each part what opening a file differs by from run to run. */
const waitFactor = 1.2
const waitSlackMs = 250
/** What else of a client is outside the heap, and what the collector leaves for later. */
const externalSlack = 24 * mebibyte
/** The heap and compiled code on top of that. */
const rssSlack = 96 * mebibyte

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
const faults: string[] = []

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

printTorrents(together.torrents)
const aloneReaders = alone.flatMap(({ readers }) => readers)
for (const [n, reader] of together.readers.entries()) checkReader(reader, aloneReaders[n]?.waitsMs ?? [])
checkMemory(together.memory)
for (const { name, starved } of together.torrents) {
  for (const { atMs, forMs, peers } of starved)
    fault(
      `${name}: no block for ${inSeconds(forMs)} s from ${inSeconds(atMs)} s on, though a seed was there; ${peers} connections`
    )
}
for (const report of [...alone, together]) for (const text of report.faults) fault(text)
console.log(`CPU of the client ${together.cpuSeconds.toFixed(1)} s`)
console.log(faults.length === 0 ? 'clean' : `${faults.length} faults`)
process.exit(faults.length === 0 ? 0 : 1)

function fault(text: string): void {
  faults.push(text)
  console.log(`FAULT ${text}`)
}

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

/** One client with these torrents for the whole time. */
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
      // A host for each, because to come back is not to be dialled for the second time.
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

function printTorrents(reports: readonly TorrentReport[]): void {
  console.log(
    '\n| pieces | received, MiB | verified, MiB | ended | with a seed, s | longest without a block, s |\n|---|---:|---:|---:|---:|---:|'
  )
  for (const { name, received, verified, completed, seededMs, longestMs } of reports) {
    const cells = [received / mebibyte, verified / mebibyte, completed].map((value) => value.toFixed(0))
    console.log(`| ${[name, ...cells, inSeconds(seededMs), inSeconds(longestMs)].join(' | ')} |`)
  }
}

function checkReader({ name, waitsMs }: ReaderReport, aloneMs: readonly number[]): void {
  // A part may have been cut short by the end.
  if (waitsMs.length < aloneMs.length - 1)
    fault(`the reader of ${name} came to part ${waitsMs.length}, and alone to ${aloneMs.length}`)
  const parts = Math.min(waitsMs.length, aloneMs.length)
  const sum = (list: readonly number[]): number => list.slice(0, parts).reduce((total, ms) => total + ms, 0)
  const [own, here] = [sum(aloneMs), sum(waitsMs)]
  const longest = (list: readonly number[]): string => inSeconds(Math.max(0, ...list.slice(0, parts)))
  console.log(
    `reader of ${name}: waited ${inSeconds(here)} s in ${parts} parts, longest ${longest(waitsMs)} s; alone ${inSeconds(own)} s, longest ${longest(aloneMs)} s`
  )
  if (here > own * waitFactor + parts * waitSlackMs)
    fault(`the reader of ${name} waited ${inSeconds(here)} s, and alone ${inSeconds(own)} s`)
}

function checkMemory({ limit, mostReserved, external, mostExternal, rss, mostRss }: MemoryReport): void {
  const mib = (bytes: number): string => (bytes / mebibyte).toFixed(1)
  console.log(
    `memory: limit ${mib(limit)} MiB, reserved at most ${mib(mostReserved)}; external ${mib(external)} to ${mib(mostExternal)}, rss ${mib(rss)} to ${mib(mostRss)} MiB`
  )
  if (mostReserved > limit)
    fault(`${mib(mostReserved)} MiB were reserved, and the limit is ${mib(limit)} MiB`)
  if (mostExternal > external + limit + externalSlack)
    fault(`memory outside the heap grew by ${mib(mostExternal - external)} MiB`)
  if (mostRss > rss + limit + rssSlack) fault(`resident memory grew by ${mib(mostRss - rss)} MiB`)
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}

function positive(name: 'minutes' | 'seed'): number {
  const value = Number(options[name])
  if (value > 0) return value
  throw new Error(`--${name} must be a number above 0, not '${options[name]}'`)
}
