import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { addressOf, Bench, bytesOf } from './bench.ts'

async function read(stream: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('files are read by many readers at once while they come from several peers', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/film.mkv': 3_000_000, 'pack/note.txt': 1000 })
  const seeds = await Promise.all([1, 2, 3].map(() => bench.seeder(sample)))
  const torrent = await bench
    .client()
    .add(sample.bytes, { peers: seeds.map(({ client }) => addressOf(client)) })
  const film = bytesOf(sample, 'pack/film.mkv')
  const [file, note] = torrent.files
  assert.ok(file !== undefined && note !== undefined)
  const readers = [
    read(file.createReadStream()),
    read(file.createReadStream({ start: 2_500_000 })),
    read(file.createReadStream({ start: 1_000_001, end: 1_500_000 })),
    read(file),
    read(Readable.fromWeb(file.stream({ start: 10, end: 99 }) as never)),
    file.arrayBuffer().then((bytes) => Buffer.from(bytes))
  ]
  assert.equal(torrent.streams.length, 6)
  const expected = [
    film,
    film.subarray(2_500_000),
    film.subarray(1_000_001, 1_500_001),
    film,
    film.subarray(10, 100),
    film
  ]
  for (const [index, got] of (await Promise.all(readers)).entries()) {
    assert.ok(expected[index]?.equals(got), `reader ${index}`)
  }
  assert.equal(await note.text(), new TextDecoder().decode(bytesOf(sample, 'pack/note.txt')))
  await torrent.whenDone()
  assert.deepEqual(torrent.streams, [])
  assert.ok(seeds.every(({ torrent: source }) => source.uploaded > 0))
})

test('a reader seeks while the torrent downloads', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 2_000_000 })
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench.client().add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
  const stream = torrent.files[0]?.createReadStream()
  assert.ok(stream !== undefined)
  for (const offset of [1_999_990, 0, 1_000_000]) {
    stream.seek(offset)
    stream.resume()
    const [chunk] = await once(stream, 'data')
    stream.pause()
    assert.ok(chunk.equals(sample.data.subarray(offset, offset + chunk.length)), `at ${offset}`)
  }
  stream.destroy()
  await once(stream, 'close')
  assert.equal(torrent.streams.length, 0)
})

test('a waiting reader is told when the torrent closes, and stops when aborted', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const client = bench.client()
  const torrent = await client.add(sample.bytes)
  const [file] = torrent.files
  assert.ok(file !== undefined)
  const abort = new AbortController()
  const aborted = file.text({ signal: abort.signal })
  const waiting = pipeline(
    file.createReadStream(),
    async (source) => void (await read(source as AsyncIterable<Uint8Array>))
  )
  await new Promise((resolve) => setImmediate(resolve))
  abort.abort(new Error('enough'))
  await assert.rejects(aborted, (error: Error) => error.name === 'AbortError' || error.message === 'enough')
  assert.equal(torrent.streams.length, 1)
  const closed = torrent.close()
  await assert.rejects(waiting, { code: 'ERR_TORRENT_CLOSED' })
  await closed
})

test('a paused torrent transfers nothing, serves verified data to readers, and resumes', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 400_000 })
  const { client: seed } = await bench.seeder(sample)
  const storage = new MemoryStorage()
  const torrent = await bench.client().add(sample.bytes, { storage })
  torrent.addPeer(addressOf(seed))
  const [piece] = await once(torrent, 'verified')
  torrent.pause()
  assert.equal(torrent.status, 'paused')
  const start = piece * 32768
  const got = await read(torrent.files[0]?.createReadStream({ start, end: start + 99 }))
  assert.ok(got.equals(sample.data.subarray(start, start + 100)))
  // Outstanding blocks may still arrive; after a round trip nothing does.
  const late = bench.client()
  await late.add(sample.bytes, { peers: [addressOf(seed)] }).then((other) => other.whenDone())
  const received = torrent.received
  assert.ok(received < sample.data.length)
  await late.close()
  assert.equal(torrent.received, received)
  torrent.pause()
  torrent.resume()
  assert.equal(torrent.status, 'downloading')
  await torrent.whenDone()
  assert.equal(torrent.status, 'seeding')
})

test('a paused seed serves nothing and accepts no peer', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  source.pause()
  const torrent = await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })
  const other = await bench.seeder(sample)
  const done = torrent.whenDone()
  source.resume()
  assert.equal(source.status, 'seeding')
  torrent.addPeer(addressOf(other.client))
  await done
})

test('a torrent may start paused, by magnet link too', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const peers = [addressOf(seed)]
  const [torrent, magnet] = await Promise.all([
    bench.client().add(sample.bytes, { paused: true, peers }),
    bench.client().add(source.magnetURI, { paused: true, peers })
  ])
  assert.equal(torrent.status, 'paused')
  assert.equal(magnet.status, 'paused')
  assert.equal(magnet.files.length, 1)
  assert.equal(torrent.peers.length, 0)
  torrent.resume()
  magnet.resume()
  await Promise.all([torrent.whenDone(), magnet.whenDone()])
})

test('whenDone can be aborted', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const torrent = await bench.client().add(sample.bytes)
  const abort = new AbortController()
  const waiting = torrent.whenDone({ signal: abort.signal })
  abort.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  await assert.rejects(torrent.whenDone({ signal: abort.signal }), /enough/)
  assert.equal(torrent.status, 'downloading')
})

test('little memory is enough', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 1_000_000 })
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench.client({ memoryLimit: 1 }).add(sample.bytes, { peers: [addressOf(seed)] })
  const text = await read(torrent.files[0])
  assert.ok(text.equals(sample.data))
  await torrent.whenDone()
})
