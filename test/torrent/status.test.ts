import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { FileStream } from '../../lib/stream/file-stream.ts'
import type { TorrentStatus } from '../../lib/torrent/run-state.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import type { AddOptions } from '../../lib/torrent/torrent-options.ts'
import { turns } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench, type Sample, same } from './bench.ts'

/** Three files of two pieces each, and an empty one. */
const files = { 'pack/a.bin': 65_536, 'pack/b.bin': 65_536, 'pack/c.bin': 65_536, 'pack/d.bin': 0 }

/** Makes a torrent folder that holds some files of a sample. */
function folderWith(bench: Bench, sample: Sample, names: readonly string[]): string {
  const folder = bench.folder()
  mkdirSync(path.join(folder, 'pack'))
  for (const name of names)
    copyFileSync(path.join(sample.folder, 'pack', name), path.join(folder, 'pack', name))
  return folder
}

/** Returns whether a promise such as `whenDone` is resolved, for programs that ask only once. */
async function isResolved(promise: Promise<unknown>): Promise<boolean> {
  const pending = {}
  return (await Promise.race([promise, turns().then(() => pending)])) !== pending
}

const everything = ['a.bin', 'b.bin', 'c.bin', 'd.bin']
const third = 1 / 3

interface Row {
  readonly select: Exclude<AddOptions['select'], undefined>
  readonly here: readonly string[]
  /** Index of the file that has an open stream. */
  readonly stream?: number
  readonly status: TorrentStatus
  readonly done: boolean
  readonly progress: number
}

const rows: readonly Row[] = [
  { select: 'all', here: [], status: 'downloading', done: false, progress: 0 },
  { select: 'all', here: [], stream: 0, status: 'downloading', done: false, progress: 0 },
  { select: 'all', here: ['b.bin'], status: 'downloading', done: false, progress: third },
  { select: 'all', here: everything, status: 'seeding', done: true, progress: 1 },
  { select: 'none', here: [], status: 'idle', done: false, progress: 0 },
  { select: 'none', here: [], stream: 0, status: 'downloading', done: false, progress: 0 },
  { select: 'none', here: ['b.bin'], status: 'idle', done: false, progress: 0 },
  { select: 'none', here: ['b.bin'], stream: 0, status: 'downloading', done: false, progress: 0 },
  { select: 'none', here: ['b.bin'], stream: 1, status: 'idle', done: false, progress: 0 },
  { select: 'none', here: everything, status: 'seeding', done: true, progress: 1 },
  { select: 'none', here: everything, stream: 0, status: 'seeding', done: true, progress: 1 },
  { select: [], here: [], status: 'idle', done: false, progress: 0 },
  { select: [0], here: ['b.bin'], status: 'downloading', done: false, progress: 0 },
  { select: [0, 1], here: ['b.bin'], status: 'downloading', done: false, progress: 0.5 },
  { select: [1], here: ['b.bin'], status: 'seeding', done: true, progress: 1 },
  { select: [1], here: ['b.bin'], stream: 1, status: 'seeding', done: true, progress: 1 },
  { select: [1], here: ['b.bin'], stream: 0, status: 'downloading', done: true, progress: 1 },
  { select: [3], here: [], status: 'seeding', done: true, progress: 1 }
]

function titleOf({ select, here, stream }: Row): string {
  const selected = typeof select === 'string' ? select : `[${select}]`
  return `select ${selected}, here ${here.join(' ') || 'nothing'}, stream ${stream ?? 'none'}`
}

test('status, done, progress and events follow from selection, verified pieces, streams and pause', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  for (const paused of [false, true]) {
    for (const row of rows) {
      const title = `${titleOf(row)}, ${paused ? 'paused' : 'running'}`
      const client = bench.client()
      const events: string[] = []
      client.on('torrent', (one) => one.on('done', () => events.push('done')))
      const folder = folderWith(bench, sample, row.here)
      const torrent = await client.add(sample.bytes, { path: folder, select: row.select, paused })
      // No file is checked out of this order.
      await until('the check to end', () => torrent.pieces.every(({ state }) => state !== 'checking'))
      const stream = row.stream === undefined ? undefined : torrent.files[row.stream]?.createReadStream()
      assert.equal(torrent.status, paused ? 'paused' : row.status, title)
      assert.equal(torrent.done, row.done, title)
      assert.ok(Math.abs(torrent.progress - row.progress) < 1e-9, `${title}: progress ${torrent.progress}`)
      assert.equal(torrent.timeRemaining, row.done ? 0 : Number.POSITIVE_INFINITY, title)
      const wait = new AbortController()
      assert.equal(await isResolved(torrent.whenDone({ signal: wait.signal })), row.done, title)
      assert.deepEqual(events, row.done ? ['done'] : [], title)
      assert.equal(torrent.error, undefined)
      wait.abort()
      stream?.destroy()
      await client.close()
    }
  }
})

test('an idle torrent downloads while a stream or a new selection needs it', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample, { uploadLimit: 400_000 })
  const client = bench.client()
  const heard: string[] = []
  const torrent = await client.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
  torrent.on('done', () => heard.push('done'))
  torrent.on('file', ({ name }) => heard.push(name))
  assert.equal(torrent.status, 'idle')
  const done = torrent.whenDone()
  const stream = torrent.files[0]?.createReadStream() as FileStream
  assert.equal(torrent.status, 'downloading')
  stream.resume()
  await once(stream, 'end')
  await until('the file to be stored', () => heard.length)
  assert.equal(torrent.status, 'idle', 'all bytes read are stored')
  assert.equal(torrent.progress, 0)
  const other = torrent.files[1]?.createReadStream() as FileStream
  assert.equal(torrent.status, 'downloading')
  other.destroy()
  await until('the stream to be gone', () => torrent.streams.length, { is: 0 })
  assert.equal(torrent.status, 'idle')
  assert.equal(await isResolved(done), false)
  torrent.select(1)
  assert.equal(torrent.status, 'downloading')
  await done
  assert.equal(torrent.status, 'seeding')
  assert.deepEqual(heard, ['a.bin', 'b.bin', 'done'])
  // Deselected, it is no seed; a new selection of verified pieces is done at once and reported.
  torrent.deselect([0, 1])
  await until('it to be idle', () => torrent.status, { is: 'idle' })
  assert.equal(torrent.done, false)
  const again = torrent.whenDone()
  assert.equal(await isResolved(again), false)
  torrent.files[0]?.select()
  await again
  assert.equal(torrent.status, 'seeding')
  assert.deepEqual(heard, ['a.bin', 'b.bin', 'done', 'done'])
})

test('deselecting everything in mid-download makes a torrent idle without an event', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample, { uploadLimit: 50_000 })
  const torrent = await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })
  let done = 0
  torrent.on('done', () => done++)
  await once(torrent, 'verified')
  torrent.deselect([0, 1, 2, 3])
  assert.equal(torrent.status, 'idle')
  assert.equal(torrent.timeRemaining, Number.POSITIVE_INFINITY)
  assert.equal(await isResolved(torrent.whenDone()), false)
  assert.equal(done, 0)
})

test('a torrent whose streams have read every byte is done and reports it once', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  const client = bench.client({ path: folder })
  const torrent = await client.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
  let done = 0
  torrent.on('done', () => done++)
  for (const file of torrent.files) assert.equal((await file.arrayBuffer()).byteLength, file.length)
  await torrent.whenDone()
  assert.deepEqual([torrent.status, torrent.progress, done], ['seeding', 1, 1])
  torrent.select([0, 1])
  torrent.deselect(0)
  await torrent.whenDone()
  assert.equal(done, 1, 'it stayed done')
  await client.close()
  const again = await bench.client({ path: folder }).add(sample.bytes)
  await again.whenDone()
  assert.equal(again.status, 'seeding')
})

test('an idle torrent is idle again after a restart, or paused', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const options = { state: bench.folder(), path: bench.folder() }
  const first = bench.client(options)
  const torrent = await first.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
  assert.ok(same(await torrent.files[0]?.arrayBuffer(), sample.data.subarray(0, 65_536)))
  await first.close()
  const second = bench.client(options)
  const [idle] = await second.restored()
  assert.deepEqual([idle?.status, idle?.done, idle?.progress], ['idle', false, 0])
  idle?.pause()
  assert.equal(idle?.status, 'paused')
  await second.close()
  const [paused] = await bench.client(options).restored()
  assert.equal(paused?.status, 'paused')
  paused?.resume()
  assert.equal(paused?.status, 'idle')
})

test('a magnet link that selects nothing is idle once its files are known', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const client = bench.client()
  const adding = client.add(`${source.magnetURI}&x.pe=${addressOf(seed)}`, { select: 'none' })
  const [early] = (await once(client, 'torrent')) as [Torrent]
  assert.deepEqual([early.status, early.progress, early.done], ['metadata', 0, false])
  assert.equal(early.timeRemaining, Number.POSITIVE_INFINITY)
  const torrent = await adding
  assert.deepEqual([torrent.status, torrent.progress, torrent.done], ['idle', 0, false])
  assert.equal(torrent.received, 0)
  torrent.select(1)
  await torrent.whenDone()
  assert.equal(torrent.status, 'seeding')
})

test('seeding time counts only while the selection is complete and no stream waits', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const folder = folderWith(bench, sample, ['b.bin'])
  const torrent = await bench.client({ path: folder }).add(sample.bytes, { select: 'none' })
  await until('the check to end', () => torrent.status, { is: 'idle' })
  let aheadMs = 0
  const now = performance.now.bind(performance)
  t.mock.method(performance, 'now', () => now() + aheadMs)
  const counts = async (): Promise<boolean> => {
    await turns()
    const before = torrent.seedingTime
    aheadMs += 1000
    return torrent.seedingTime > before + 500
  }
  assert.equal(await counts(), false, 'idle')
  torrent.select(1)
  await torrent.whenDone()
  assert.equal(await counts(), true, 'seeding')
  const stream = torrent.files[0]?.createReadStream()
  assert.equal(torrent.status, 'downloading')
  assert.equal(await counts(), false, 'a stream reads what is missing')
  stream?.destroy()
  await until('the stream to be gone', () => torrent.streams.length, { is: 0 })
  assert.equal(await counts(), true)
  torrent.select(2)
  await until('the selection to be heard of', () => torrent.status, { is: 'downloading' })
  assert.equal(await counts(), false, 'something is selected again')
})

test('an idle torrent keeps its seeds, does not announce upload-only, and serves its pieces', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const folder = folderWith(bench, sample, ['b.bin'])
  const client = bench.client({ path: folder })
  const torrent = await client.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
  await until('the seed to be met', () => torrent.peers.length, { is: 1 })
  const leecher = await bench.client().add(sample.bytes, { select: [1], peers: [addressOf(client)] })
  await leecher.whenDone()
  assert.equal(torrent.uploaded, 65_536)
  assert.deepEqual([torrent.status, torrent.peers.length > 0], ['idle', true])
  assert.deepEqual(
    leecher.peers.map(({ uploadOnly }) => uploadOnly),
    [false]
  )
})
