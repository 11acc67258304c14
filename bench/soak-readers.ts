// A long run: readers of different speeds on one torrent, from limited peers that come and go; every byte is compared.
//   npm run soak -- --minutes 3
// Exits with 1 when a byte was wrong, a reader stalled, or memory grew. In each round a new client downloads the torrent.
import { randomFillSync } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Client, type Torrent, type TorrentFile } from '../lib/index.ts'
import { until } from '../test/support/until.ts'

const mebibyte = 1 << 20
const host = '127.0.0.1'
const length = 48 * mebibyte
/** Upload limits of the peers in bytes per second. */
const peerRates = [1.5, 1, 0.75, 0.5, 0.125].map((rate) => rate * mebibyte)
/** Range of the time that a peer stays; it is away for a part of that. */
const stayMs = [2000, 9000] as const
/** Bytes per second of each reader; the last two read as fast as they can. */
const readerRates = [0.2, 0.5, 1, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY].map(
  (rate) => rate * mebibyte
)
/** A reader that waits longer for a byte fails the run. */
const patienceMs = 60_000
const sampleEveryMs = 2000

const minutesAt = process.argv.indexOf('--minutes')
const minutes = minutesAt < 0 ? 10 : Number(process.argv[minutesAt + 1])
if (!(minutes > 0)) throw new Error('--minutes takes a number above 0')

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

interface Sample {
  readonly atMs: number
  readonly rss: number
  readonly heap: number
  readonly external: number
  readonly handles: number
}

const samples: Sample[] = []
const counts = { bytes: 0, wrong: 0, seeks: 0, streams: 0, joined: 0, left: 0, rounds: 0, stalls: 0 }
const stop = new AbortController()
setMaxListeners(100, stop.signal)
const began = performance.now()
const endMs = began + minutes * 60_000
const faults: string[] = []

process.on('unhandledRejection', (reason) => fault(`unhandled rejection: ${String(reason)}`))
process.on('warning', (warning) => fault(`warning: ${warning.message}`))
process.once('SIGINT', () => stop.abort())

function fault(text: string): void {
  faults.push(text)
  console.error(text)
}

/** Waits; the end of the run ends it early. */
async function rest(ms: number): Promise<void> {
  await sleep(Math.max(0, Math.min(ms, endMs - performance.now())), undefined, { signal: stop.signal }).catch(
    () => {}
  )
}

function isOver(): boolean {
  return stop.signal.aborted || performance.now() >= endMs
}

/** Runs a peer that seeds the file for a while, leaves, and returns. */
async function churn(song: string, uploadLimit: number, torrentOf: () => Torrent | undefined): Promise<void> {
  while (!isOver()) {
    const client = new Client({ host, dht: false, lsd: false, uploadLimit })
    try {
      const torrent = await client.seed(song, { pieceLength: 128 * 1024, creationDate: false })
      counts.joined++
      const [least, most] = stayMs
      const until = performance.now() + least + Math.random() * (most - least)
      let known: Torrent | undefined
      while (!isOver() && performance.now() < until) {
        const now = torrentOf()
        if (now !== undefined && now !== known) now.addPeer({ host, port: client.port })
        known = now
        await rest(100)
      }
      if (torrent.status === 'error') fault('a seeder failed')
    } finally {
      await client.close()
      counts.left++
    }
    await rest(Math.random() * stayMs[0])
  }
}

/** Reads from random offsets, at a limited rate, until the round is over. */
async function read(file: TorrentFile, data: Uint8Array, rate: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const stream = file.createReadStream({ start: Math.floor(Math.random() * length), signal })
    counts.streams++
    let left = 1 + Math.floor(Math.random() * 8)
    let from = performance.now()
    let taken = 0
    let at = stream.position
    const patience = setTimeout(() => {
      counts.stalls++
      fault(`a reader has waited ${patienceMs / 1000} s at ${at}`)
    }, patienceMs)
    try {
      for await (const chunk of stream) {
        patience.refresh()
        const { byteLength } = chunk
        if (Buffer.compare(chunk, data.subarray(at, at + byteLength)) !== 0) {
          counts.wrong += byteLength
          fault(`wrong bytes at ${at}`)
        }
        at += byteLength
        taken += byteLength
        counts.bytes += byteLength
        const dueMs = (taken / rate) * 1000 - (performance.now() - from)
        if (dueMs > 0) await sleep(dueMs, undefined, { signal })
        patience.refresh()
        if (taken < 2 * mebibyte) continue
        if (left-- === 0) break
        at = Math.floor(Math.random() * length)
        stream.seek(at)
        counts.seeks++
        taken = 0
        from = performance.now()
      }
    } catch (thrown) {
      if (!signal.aborted) fault(`a stream failed: ${String(thrown)}`)
    } finally {
      clearTimeout(patience)
    }
  }
}

function measure(): void {
  collect()
  const { rss, heapUsed, external } = process.memoryUsage()
  samples.push({
    atMs: performance.now() - began,
    rss,
    heap: heapUsed,
    external,
    handles: process.getActiveResourcesInfo().length
  })
}

function mib(bytes: number): string {
  return (bytes / mebibyte).toFixed(1).padStart(7)
}

function report(torrent: Torrent | undefined): void {
  const last = samples.at(-1)
  if (last === undefined) return
  const seconds = String(Math.round(last.atMs / 1000)).padStart(4)
  const memory = `rss ${mib(last.rss)}  heap ${mib(last.heap)}  external ${mib(last.external)} MiB  handles ${last.handles}`
  const swarm = `round ${counts.rounds} ${Math.round((torrent?.progress ?? 0) * 100)}%, ${torrent?.peers.length ?? 0} peers`
  console.log(`${seconds} s  ${memory}  ${swarm}, read ${mib(counts.bytes).trim()} MiB`)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

/** Compares the first third with the last, after the warm-up. */
function checkGrowth(): void {
  const warm = samples.filter(({ atMs }) => atMs > Math.min(60_000, (minutes * 60_000) / 5))
  const third = Math.floor(warm.length / 3)
  if (third < 3) return
  // Uncollected garbage does not count as growth.
  const slack = { rss: 48 * mebibyte, heap: 6 * mebibyte, external: 24 * mebibyte, handles: 40 }
  for (const name of ['rss', 'heap', 'external', 'handles'] as const) {
    const first = median(warm.slice(0, third).map((sample) => sample[name]))
    const last = median(warm.slice(-third).map((sample) => sample[name]))
    const show = (value: number): string => (name === 'handles' ? String(value) : `${mib(value).trim()} MiB`)
    console.log(`  ${name.padEnd(9)} first third ${show(first)}, last third ${show(last)}`)
    if (last > first * 1.1 + slack[name]) fault(`${name} has grown from ${show(first)} to ${show(last)}`)
  }
}

async function soak(folder: string): Promise<void> {
  const data = randomFillSync(new Uint8Array(length))
  const song = path.join(folder, 'soak.bin')
  writeFileSync(song, data)
  const maker = new Client({ host, dht: false, lsd: false })
  const bytes = (await maker.seed(song, { pieceLength: 128 * 1024, creationDate: false })).torrentFile
  await maker.close()
  if (bytes === undefined) throw new Error('the torrent was not made')
  let torrent: Torrent | undefined
  const peers = peerRates.map((rate) => churn(song, rate, () => torrent))
  const sampler = setInterval(measure, sampleEveryMs)
  const reporter = setInterval(() => report(torrent), 10_000)
  try {
    while (!isOver()) {
      counts.rounds++
      const client = new Client({
        host,
        lsd: false,
        path: path.join(folder, `round${counts.rounds}`),
        memoryLimit: 32 * mebibyte,
        dht: false
      })
      client.on('warning', () => {})
      client.on('error', (error) => fault(`the client failed: ${error.message}`))
      torrent = await client.add(bytes)
      const [file] = torrent.files
      if (file === undefined) throw new Error('the torrent has no file')
      const over = new AbortController()
      setMaxListeners(100, over.signal)
      const readers = readerRates.map((rate) => read(file, data, rate, over.signal))
      while (!isOver() && !torrent.done) await rest(100)
      // For a short time, everything is read from storage.
      await rest(3000)
      over.abort()
      await Promise.all(readers)
      const old = torrent
      await until('all streams to close', () => old.streams.length, { is: 0, everyMs: 5 })
      torrent = undefined
      await client.remove(old, { deleteFiles: true })
      await client.close()
    }
  } finally {
    clearInterval(sampler)
    clearInterval(reporter)
    await Promise.all(peers)
  }
}

const folder = mkdtempSync(path.join(tmpdir(), 'piecewise-soak-'))
try {
  console.log(`${minutes} minutes: ${readerRates.length} readers, ${peerRates.length} peers that come and go`)
  await soak(folder)
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}
console.log(
  `\n${counts.rounds} rounds, ${mib(counts.bytes).trim()} MiB read by ${counts.streams} streams with ${counts.seeks} seeks; ` +
    `peers joined ${counts.joined} times and left ${counts.left} times; ${counts.wrong} bytes wrong, ${counts.stalls} stalls`
)
checkGrowth()
console.log(faults.length === 0 ? 'clean' : `${faults.length} faults`)
process.exitCode = faults.length === 0 ? 0 : 1
