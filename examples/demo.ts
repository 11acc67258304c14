// The whole pipeline without any network: a tracker and four seeders of different speeds on loopback, and a client that plays a song
// from them, seeks in it, and compares every byte at the end.
//   npm run demo                 measures and ends
//   npm run demo -- --serve      stays, and prints a URL that a browser plays
//   npm run demo -- --short      with a shorter song
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type FileStream, type Torrent } from 'piecewise'
import { createServer } from 'piecewise/server'
import { startTracker } from './http-tracker.ts'
import { makeWav, wavBytesPerSecond } from './wav.ts'

const mebibyte = 1 << 20
const isShort = process.argv.includes('--short')
const songSeconds = isShort ? 40 : 200
const host = '127.0.0.1'
/** Upload limits of the seeders in bytes per second; the last one is very slow. */
const seederLimits = [1.5 * mebibyte, 1 * mebibyte, 0.5 * mebibyte, 48 * 1024]
/** Seconds that a player reads ahead of the playback position. */
const bufferSeconds = 2

const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
process.once('SIGTERM', () => stop.abort())
const { signal } = stop
/** Cleanup functions; run at the end, last first. */
const undo: (() => Promise<unknown>)[] = []

try {
  await demo()
} catch (thrown) {
  if (!signal.aborted) throw thrown
  console.log('\nStopped.')
  process.exitCode = 130
} finally {
  for (const step of undo.reverse()) await step()
}

async function demo(): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'piecewise-demo-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))
  const wav = makeWav(songSeconds)
  const song = path.join(folder, 'song.wav')
  await writeFile(song, wav)
  console.log(`A song of ${songSeconds} s as WAV: ${mib(wav.length)}, ${kib(wavBytesPerSecond)}/s`)

  const magnet = await startSwarm(song)
  const client = new Client({ host, path: path.join(folder, 'download') })
  undo.push(() => client.close())
  const began = performance.now()
  const torrent = await client.add(magnet, { signal })
  say('magnet link to files', began)
  const { stream, stalls } = await play(torrent, began)

  console.log('\nThe rest, in order, every byte compared with the original:')
  stream.destroy()
  const progress = showProgress(torrent)
  const hash = createHash('sha256')
  for await (const chunk of fileOf(torrent).createReadStream({ signal })) hash.update(chunk)
  await torrent.whenDone({ signal })
  clearInterval(progress)
  const totalMs = performance.now() - began
  const isSame = hash.digest('hex') === createHash('sha256').update(wav).digest('hex')
  report(
    'whole file',
    `${(totalMs / 1000).toFixed(1)} s, ${mib((wav.length / totalMs) * 1000)}/s of ${mib(sum(seederLimits))}/s`
  )
  report('stalls', stalls.count === 0 ? 'none' : `${stalls.count}, ${Math.round(stalls.ms)} ms in all`)
  report('bytes', isSame ? `all ${wav.length} are right` : 'WRONG')
  report('received in vain', kib(torrent.received - wav.length))
  if (!isSame) process.exitCode = 1
  if (process.argv.includes('--serve')) await serve(torrent)
}

/** Starts a tracker, and seeders that find each other through it; returns the magnet link. */
async function startSwarm(song: string): Promise<string> {
  const tracker = await startTracker()
  undo.push(() => tracker.close())
  let magnet = ''
  for (const uploadLimit of seederLimits) {
    const seeder = new Client({ host, uploadLimit })
    undo.push(() => seeder.close())
    const torrent = await seeder.seed(song, {
      trackers: [tracker.announceUrl],
      pieceLength: 128 * 1024,
      signal
    })
    magnet = torrent.magnetURI
  }
  console.log(
    `A tracker and ${seederLimits.length} seeders: ${seederLimits.map((limit) => `${kib(limit)}/s`).join(', ')}\n`
  )
  return magnet
}

interface Stalls {
  count: number
  ms: number
}

/** Plays a few seconds at the speed of the song, seeks far ahead, and continues. */
async function play(torrent: Torrent, began: number): Promise<{ stream: FileStream; stalls: Stalls }> {
  const stalls: Stalls = { count: 0, ms: 0 }
  const stream = fileOf(torrent).createReadStream({ signal })
  const chunks = stream[Symbol.asyncIterator]()
  await chunks.next()
  say('first byte', began)
  await playFor(isShort ? 0.5 : 4, stream, chunks, stalls, () => say('first MiB', began))
  console.log(`${' '.repeat(17)}${(torrent.progress * 100).toFixed(0)}% is there by now`)
  for (const part of [0.9, 0.5, 0.7]) {
    const asked = performance.now()
    stream.seek(Math.floor(torrent.length * part))
    await chunks.next()
    say(`seek to ${part * 100}%`, asked)
    await playFor(0.5, stream, chunks, stalls)
  }
  return { stream, stalls }
}

/** Reads as a player does: a few seconds ahead of the playback position, and no further. */
async function playFor(
  seconds: number,
  stream: FileStream,
  chunks: AsyncIterator<Uint8Array>,
  stalls: Stalls,
  onMebibyte?: () => void
): Promise<void> {
  const first = stream.position
  const start = performance.now()
  let lateMs = 0
  let told = false
  // On a busy machine the first mebibyte may take longer than `seconds`.
  while (performance.now() - start < seconds * 1000 || (onMebibyte !== undefined && !told)) {
    // The bytes read so far last until then.
    const lastsMs = ((stream.position - first) / wavBytesPerSecond) * 1000 + lateMs
    const elapsedMs = performance.now() - start
    if (lastsMs - elapsedMs > bufferSeconds * 1000 && (told || onMebibyte === undefined)) {
      await sleep(50, undefined, { signal })
      continue
    }
    const { done } = await chunks.next()
    if (done) return
    const late = performance.now() - start - lastsMs
    if (lastsMs > lateMs && late > 1) {
      stalls.count++
      stalls.ms += late
      lateMs += late
    }
    if (!told && stream.position - first >= mebibyte) {
      told = true
      onMebibyte?.()
    }
  }
}

async function serve(torrent: Torrent): Promise<void> {
  const server = createServer(torrent, { readOnly: true }).listen(0, host)
  undo.push(async () => server.close())
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  console.log(`\nhttp://${host}:${port}/${torrent.infoHash}/${fileOf(torrent).path}\nCtrl+C ends.`)
  await once(signal, 'abort')
}

function fileOf(torrent: Torrent): Torrent['files'][number] {
  const [file] = torrent.files
  if (file === undefined) throw new Error('the torrent has no file')
  return file
}

function showProgress(torrent: Torrent): NodeJS.Timeout {
  return setInterval(() => {
    const { progress, downloadSpeed, peers } = torrent
    const line = `${(progress * 100).toFixed(0).padStart(3)}%  ${mib(downloadSpeed)}/s from ${peers.length} peers`
    console.log(`${' '.repeat(17)}${line}`)
  }, 1000)
}

function say(what: string, sinceMs: number): void {
  report(what, `${Math.round(performance.now() - sinceMs)} ms`)
}

function report(what: string, value: string): void {
  console.log(`  ${what.padEnd(22)} ${value}`)
}

function mib(bytes: number): string {
  return `${(bytes / mebibyte).toFixed(1)} MiB`
}

function kib(bytes: number): string {
  return `${Math.round(bytes / 1024)} KiB`
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
