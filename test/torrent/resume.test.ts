import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Client } from '../../lib/client/client.ts'
import { FileStorage } from '../../lib/storage/file-storage.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { decodeResume } from '../../lib/storage/resume-record.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { until } from '../support/until.ts'
import { addressOf, assertSame, Bench, type Sample, same } from './bench.ts'
import { listenAs } from './evil-peer.ts'

/** File storage that counts the bytes read through it, and hides its files from hash workers. */
class CountingStorage extends FileStorage {
  bytesRead = 0

  override async read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number> {
    this.bytesRead += target.length
    return super.read(byteOffset, target, signal)
  }
}
// Without segments, all checks read here.
Object.defineProperty(CountingStorage.prototype, 'segments', { value: undefined })

function storageIn(folder: string): CountingStorage {
  return new CountingStorage({ path: folder, partsPath: path.join(folder, 'parts') })
}

test('existing data is found', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000, 'pack/b.bin': 100_000 })
  const client = bench.client({ path: sample.folder })
  const torrent = await client.add(sample.bytes)
  assert.ok(['checking', 'seeding'].includes(torrent.status), torrent.status)
  await torrent.whenDone()
  assert.equal(torrent.received, 0)
  assert.equal(torrent.downloaded, 200_000)
  assert.equal(torrent.status, 'seeding')
  // The data is served, too.
  const other = await bench.client().add(sample.bytes, { peers: [addressOf(client)] })
  await other.whenDone()
})

test('only missing or wrong pieces are fetched', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 327_680, 'pack/b.bin': 327_680 })
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  mkdirSync(path.join(folder, 'pack'))
  const a = readFileSync(path.join(sample.folder, 'pack/a.bin'))
  a[40_000] = (a[40_000] ?? 0) ^ 1
  writeFileSync(path.join(folder, 'pack/a.bin'), a)
  const b = readFileSync(path.join(sample.folder, 'pack/b.bin')).subarray(0, 5 * 32768 + 5)
  writeFileSync(path.join(folder, 'pack/b.bin'), b)
  const client = bench.client({ path: folder })
  const torrent = await client.add(sample.bytes, { peers: [addressOf(seed)] })
  await torrent.whenDone()
  assert.equal(torrent.received, 6 * 32768)
  await client.close()
  assertSame(torrent, sample)
})

test('a reader is served while the data is still being checked', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 4_000_000 })
  const storage = storageIn(sample.folder)
  const torrent = await bench.client().add(sample.bytes, { storage })
  const stream = torrent.files[0]?.createReadStream({ start: 3_500_000 })
  assert.equal(torrent.status, 'checking')
  assert.equal(torrent.pieces.at(-1)?.state, 'checking')
  const [chunk] = stream === undefined ? [] : await once(stream, 'data')
  assert.ok(chunk.equals(sample.data.subarray(3_500_000, 3_500_000 + chunk.length)))
  stream?.destroy()
  await torrent.whenDone()
})

/** Memory storage that records which pieces are read first, and whose reads wait for a gate. */
class NotingStorage extends MemoryStorage {
  readonly pieces: number[] = []
  gate: Promise<void> | undefined
  readonly #pieceLength: number

  constructor(pieceLength: number) {
    super()
    this.#pieceLength = pieceLength
  }

  override async read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number> {
    const piece = Math.floor(byteOffset / this.#pieceLength)
    if (!this.pieces.includes(piece)) this.pieces.push(piece)
    await this.gate
    return super.read(byteOffset, target, signal)
  }
}

test('seeks over data under check leave no piece unchecked', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.bin': 100 * 32768 })
  const storage = new NotingStorage(32768)
  const opened = deferred<void>()
  storage.gate = opened.promise
  const torrent = await bench.client().add(sample.bytes, { storage, verify: true })
  bench.after(() => opened.resolve())
  const stream = torrent.files[0]?.createReadStream({ start: 10 * 32768 })
  assert.ok(stream !== undefined)
  stream.resume()
  await until('three pieces to be read', () => storage.pieces.length, { is: (value) => value >= 3 })
  for (let piece = 20; piece <= 90; piece += 5) {
    stream.seek(piece * 32768)
    await turn()
  }
  assert.deepEqual(
    storage.pieces.toSorted((a, b) => a - b),
    [0, 10, 11],
    'one of the background, and the first two of the reader'
  )
  opened.resolve()
  await until('eight pieces to be read', () => storage.pieces.length, { is: (value) => value >= 8 })
  assert.ok(storage.pieces.slice(3, 6).includes(90), `${storage.pieces.slice(0, 10)}`)
  assert.equal(storage.pieces.slice(0, 8).filter((piece) => piece >= 20 && piece < 90).length, 0)
  stream.destroy()
})

test('a reader that waits when a recheck begins has its piece checked first', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.bin': 100 * 32768 })
  const storage = new NotingStorage(32768)
  const torrent = await bench.client().add(sample.bytes, { storage, select: 'none' })
  const stream = torrent.files[0]?.createReadStream({ start: 80 * 32768 })
  assert.ok(stream !== undefined)
  stream.resume()
  await turn()
  await torrent.recheck()
  assert.equal(storage.pieces.length, 100)
  assert.ok(storage.pieces.slice(0, 4).includes(80), `${storage.pieces.slice(0, 10)}`)
  stream.destroy()
})

test('a clean restart reads nothing and fetches no block twice', async (t) => {
  const bench = new Bench(t)
  // Pieces of many blocks, so that some are incomplete.
  const sample = await bench.sample({ 'film.mkv': 183 * 16384 }, { pieceLength: 1 << 18 })
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  const options = { path: folder, state: path.join(folder, 'state') }
  const first = bench.client(options)
  const one = await first.add(sample.bytes, { storage: storageIn(folder) })
  // Four whole pieces at most, and some more blocks.
  const blocks = 70
  let left = blocks
  const tired = await listenAs(bench, sample, {
    answer: (peer, piece, offset, length) => {
      if (left-- > 0) peer.wire.piece(piece, offset, peer.block(piece, offset, length))
    }
  })
  one.addPeer(tired.address)
  await until('the blocks', () => one.received, { is: (value) => value >= blocks * 16384 })
  await first.close()
  assert.ok(one.received > one.downloaded, 'some pieces are incomplete')
  const storage = storageIn(folder)
  const second = bench.client(options)
  const two = await second.add(sample.bytes, { storage })
  assert.equal(two.status, 'downloading')
  assert.equal(two.downloaded, one.downloaded)
  assert.equal(storage.bytesRead, 0)
  two.addPeer(addressOf(seed))
  await two.whenDone()
  assert.equal(one.received + two.received, sample.data.length)
  assert.equal(
    storage.bytesRead,
    one.received - one.downloaded,
    'only the blocks of incomplete pieces are read back'
  )
  await second.close()
  assertSame(two, sample)
  const third = bench.client(options)
  const again = storageIn(folder)
  const three = await third.add(sample.bytes, { storage: again })
  assert.equal(three.done, true)
  assert.equal(again.bytesRead, 0)
  assert.ok(three.ratio === 0)
})

test('a reader of unverified bytes gets the blocks of the last run', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 16 * 16384 }, { pieceLength: 16 * 16384 })
  const folder = bench.folder()
  const first = bench.client({ path: folder })
  const one = await first.add(sample.bytes)
  const part = 4 * 16384
  const tired = await listenAs(bench, sample, {
    answer: (peer, piece, offset, length) => {
      if (offset < part) peer.wire.piece(piece, offset, peer.block(piece, offset, length))
    }
  })
  one.addPeer(tired.address)
  await until('the first part', () => one.received, { is: (value) => value >= part })
  await first.close()
  const two = await bench.client({ path: folder }).add(sample.bytes)
  const stream = two.files[0]?.createReadStream({ unverified: true })
  assert.ok(stream !== undefined)
  const chunks: Uint8Array[] = []
  stream.on('data', (chunk) => chunks.push(chunk))
  two.addPeer((await listenAs(bench, sample, { answer: () => {} })).address)
  await until('the first part to be read', () => chunks.reduce((sum, { length }) => sum + length, 0), {
    is: (value) => value >= part
  })
  assert.ok(Buffer.concat(chunks).equals(sample.data.subarray(0, part)))
  assert.equal(two.received, 0)
  stream.destroy()
})

test('verify hashes everything nevertheless', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  const folder = sample.folder
  const options = { path: folder, state: bench.folder() }
  const first = bench.client(options)
  await (await first.add(sample.bytes)).whenDone()
  await first.close()
  const storage = storageIn(folder)
  const second = bench.client(options)
  const torrent = await second.add(sample.bytes, { storage, verify: true })
  await torrent.whenDone()
  assert.equal(storage.bytesRead, 300_000)
})

/** A copy of the folder of a running download, as an unclean stop leaves it. */
async function uncleanCopy(
  bench: Bench,
  sample: Sample,
  seed: Client
): Promise<{ folder: string; state: string; had: number[] }> {
  const folder = bench.folder()
  const state = bench.folder()
  const client = bench.client({ path: folder, state, restore: false })
  const torrent = await client.add(sample.bytes, { select: [0], peers: [addressOf(seed)] })
  await torrent.whenDone()
  const record = path.join(state, `${torrent.infoHash}.resume`)
  // The record is written before the first write, and within about a second of a change.
  const verified = (): number =>
    decodeResume(readFileSync(record)).verified.reduce((sum, byte) => sum + byte, 0)
  await until('the record of all pieces', () => existsSync(record) && verified(), { is: 0xff + 0xff + 0xf0 })
  const copy = bench.folder()
  cpSync(folder, copy, { recursive: true, preserveTimestamps: true })
  const stateCopy = bench.folder()
  cpSync(state, stateCopy, { recursive: true })
  await client.close()
  return {
    folder: copy,
    state: stateCopy,
    had: torrent.pieces.flatMap(({ state }, piece) => (state === 'verified' ? [piece] : []))
  }
}

test('after an unclean stop nothing is read or served before it is hashed', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 655_360, 'pack/b.bin': 327_680 })
  const { client: seed } = await bench.seeder(sample)
  const { folder, state, had } = await uncleanCopy(bench, sample, seed)
  assert.deepEqual(had, [...Array(20).keys()])
  const file = path.join(folder, 'pack/a.bin')
  const bytes = readFileSync(file)
  bytes[100_000] = (bytes[100_000] ?? 0) ^ 1
  bytes[600_000] = (bytes[600_000] ?? 0) ^ 1
  writeFileSync(file, bytes)
  const client = bench.client({ path: folder, state, restore: false })
  const torrent = await client.add(sample.bytes, { select: [0] })
  assert.equal(torrent.downloaded, 655_360, 'the record is trusted until a piece is needed')
  const reading = torrent.files[0]?.arrayBuffer()
  const other = await bench.client().add(sample.bytes, { select: [0], peers: [addressOf(client)] })
  torrent.addPeer(addressOf(seed))
  assert.ok(same(await reading, readFileSync(path.join(sample.folder, 'pack/a.bin'))))
  await torrent.whenDone()
  assert.equal(torrent.received, 2 * 32768)
  await other.whenDone()
  assert.equal(other.received, 655_360, 'no bad byte was sent')
})

test('recheck finds damaged pieces, also while it downloads', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 1_000_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers: [addressOf(seed)] })
  await once(torrent, 'verified')
  await torrent.recheck()
  await torrent.whenDone()
  const before = torrent.received
  const file = path.join(torrent.path, 'film.mkv')
  const bytes = readFileSync(file)
  bytes[500_000] = (bytes[500_000] ?? 0) ^ 1
  writeFileSync(file, bytes)
  await torrent.recheck()
  await torrent.whenDone()
  assert.equal(torrent.received, before + 32768, 'the seed is dialled again')
  await seed.close()
  rmSync(file)
  await torrent.recheck()
  assert.equal(torrent.downloaded, 0)
  assert.equal(torrent.progress, 0)
})

test('a deleted file is fetched again when it is read', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const folder = bench.folder()
  cpSync(sample.folder, folder, { recursive: true })
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench.client({ path: folder }).add(sample.bytes)
  await torrent.whenDone()
  writeFileSync(path.join(folder, 'film.mkv'), '')
  torrent.addPeer(addressOf(seed))
  assert.ok(same(await torrent.files[0]?.arrayBuffer(), sample.data))
})

test('a torrent added by magnet link restarts without peers', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const folder = bench.folder()
  const first = bench.client({ path: folder })
  const one = await first.add(source.magnetURI, {
    peers: [addressOf(seed)],
    trackers: ['http://127.0.0.1:1/announce']
  })
  await one.whenDone()
  assert.ok(one.torrentFile !== undefined)
  await first.close()
  const second = bench.client({ path: folder })
  const two = await second.add(source.infoHash)
  assert.equal(two.done, true)
  assert.deepEqual(
    two.trackers.map(({ url }) => url),
    ['http://127.0.0.1:1/announce']
  )
  await second.remove(two)
  assert.equal(existsSync(path.join(folder, '.piecewise')), false)
  assert.ok(existsSync(path.join(folder, 'film.mkv')))
})

test('peers and counters of the last run come back', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  const first = bench.client({ path: folder })
  const one = await first.add(sample.bytes, { peers: [addressOf(seed)], select: 'none' })
  const bytes = await one.files[0]?.arrayBuffer()
  assert.equal(bytes?.byteLength, 100_000)
  const other = await bench.client().add(sample.bytes, { peers: [addressOf(first)] })
  await other.whenDone()
  await first.close()
  assert.equal(one.uploaded, 100_000)
  rmSync(path.join(folder, 'film.mkv'))
  const second = bench.client({ path: folder })
  const two = await second.add(sample.bytes, { select: 'all' })
  assert.equal(two.uploaded, 100_000)
  assert.equal(two.ratio, 1)
  await two.whenDone()
  assert.equal(two.ratio, 0.5)
})
