import type { Subject } from './soak-plan.ts'
import type { MemoryReport, ReaderReport, SoakReport } from './soak-process.ts'
import type { TorrentReport } from './soaked-torrent.ts'

const mebibyte = 1 << 20
/** Maximum wait of a reader relative to running alone. */
const waitFactor = 1.2
/** Noise of the time to the first MiB, in milliseconds: as a mean over all parts, and of a single part. */
const meanSlackMs = 100
const partSlackMs = 250
/** Other buffers of a client, and garbage that is not collected yet. */
const externalSlack = 24 * mebibyte
/** The heap and compiled code on top of that. */
const rssSlack = 96 * mebibyte
/** Partial pieces that a torrent may have, and their bytes if pieces are small. */
const partialPieces = 4
const partialBytes = 16 * mebibyte
/** Repeated blocks, from end game or departing seeds. */
const repeatedPart = 0.05

/** Prints the results of readers alone and of all torrents together, and returns a sentence for each broken rule. */
export function judge(
  alone: readonly SoakReport[],
  together: SoakReport,
  subjects: readonly Subject[]
): string[] {
  const aloneReaders = alone.flatMap(({ readers }) => readers)
  printTorrents(together.torrents)
  return [
    ...together.readers.flatMap((reader, n) => judgeReader(reader, aloneReaders[n]?.waitsMs ?? [])),
    ...judgeMemory(together.memory),
    ...together.torrents.flatMap((torrent, n) => judgeTorrent(torrent, subjects[n])),
    ...[...alone, together].flatMap(({ faults }) => faults)
  ]
}

function printTorrents(reports: readonly TorrentReport[]): void {
  console.log(
    '\n| pieces | received, MiB | verified, MiB | ended | with a seed, s | longest without a block, s |\n|---|---:|---:|---:|---:|---:|'
  )
  for (const { name, received, verified, completed, seededMs, longestMs } of reports) {
    const cells = [
      inMebibytes(received),
      inMebibytes(verified),
      completed,
      inSeconds(seededMs),
      inSeconds(longestMs)
    ]
    console.log(`| ${[name, ...cells].join(' | ')} |`)
  }
}

/** A torrent that has a seed receives blocks, and does not fetch the same bytes again and again. */
function judgeTorrent(
  { name, received, verified, starved }: TorrentReport,
  subject: Subject | undefined
): string[] {
  const faults = starved.map(
    ({ atMs, forMs, peers }) =>
      `${name}: no block for ${inSeconds(forMs)} s from ${inSeconds(atMs)} s on, though a seed was there; ${peers} connections`
  )
  // The downloads of readers are removed with their partial pieces.
  if (subject === undefined || subject.bitRate !== undefined) return faults
  const partial = Math.min(subject.length, partialPieces * subject.pieceLength + partialBytes)
  if (received * (1 - repeatedPart) > verified + partial)
    faults.push(
      `${name}: of ${inMebibytes(received)} MiB received only ${inMebibytes(verified)} MiB were verified`
    )
  return faults
}

/** Checks that a reader waits at most a fifth longer than alone. */
function judgeReader({ name, waitsMs }: ReaderReport, aloneMs: readonly number[]): string[] {
  const faults: string[] = []
  // The end of the run may have cut a part short.
  if (waitsMs.length < aloneMs.length - 1)
    faults.push(`the reader of ${name} came to part ${waitsMs.length}, and alone to ${aloneMs.length}`)
  const parts = Math.min(waitsMs.length, aloneMs.length)
  const sum = (list: readonly number[]): number => list.slice(0, parts).reduce((total, ms) => total + ms, 0)
  const most = (list: readonly number[]): number => Math.max(0, ...list.slice(0, parts))
  const waited = `in ${parts} parts waited ${inSeconds(sum(waitsMs))} s, in one at most ${inSeconds(most(waitsMs))} s`
  const text = `reader of ${name}: ${waited}; alone ${inSeconds(sum(aloneMs))} and ${inSeconds(most(aloneMs))} s`
  console.log(text)
  const isLong = (here: number, own: number, slackMs: number): boolean => here > own * waitFactor + slackMs
  if (
    isLong(sum(waitsMs), sum(aloneMs), parts * meanSlackMs) ||
    isLong(most(waitsMs), most(aloneMs), partSlackMs)
  )
    faults.push(text)
  return faults
}

/** Checks that the budget stays within its limit, and the process grows by little more. */
function judgeMemory({ limit, mostReserved, external, mostExternal, rss, mostRss }: MemoryReport): string[] {
  const growth = `external ${inMebibytes(external)} to ${inMebibytes(mostExternal)}, rss ${inMebibytes(rss)} to ${inMebibytes(mostRss)} MiB`
  const text = `memory: limit ${inMebibytes(limit)} MiB, reserved at most ${inMebibytes(mostReserved)}; ${growth}`
  console.log(text)
  const isWithin =
    mostReserved <= limit &&
    mostExternal <= external + limit + externalSlack &&
    mostRss <= rss + limit + rssSlack
  return isWithin ? [] : [text]
}

function inMebibytes(bytes: number): string {
  return (bytes / mebibyte).toFixed(1)
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}
