import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { createTorrent } from '../../lib/metainfo/create-torrent.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { TorrentStatus } from '../../lib/torrent/run-state.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench } from './bench.ts'

test('JSON.stringify writes a client, its torrents and their files', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.mkv': 100_000, 'pack/b.txt': 50_000 })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { select: [1], path: sample.folder, paused: true })
  await until('the check to end', () => torrent.done)
  const { torrents, ...facts } = JSON.parse(JSON.stringify(client))
  assert.deepEqual(facts, {
    port: client.port,
    natStatus: { state: 'off' },
    downloadSpeed: 0,
    uploadSpeed: 0,
    progress: 1
  })
  const [{ files, ...told }] = torrents
  assert.equal(told.infoHash, torrent.infoHash)
  assert.equal(told.status, 'paused')
  assert.equal(told.paused, true)
  assert.equal(told.timeRemaining, 0)
  assert.equal(told.peerCount, 0)
  assert.deepEqual(
    files.map((file: { path: string; done: boolean; type: string }) => [file.path, file.done, file.type]),
    [
      ['pack/a.mkv', true, 'video/x-matroska'],
      ['pack/b.txt', true, 'text/plain; charset=utf-8']
    ]
  )
})

test('an unknown time is null in JSON, and an error has its code', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a.bin': 100_000 })
  const torrent = await bench.client().add(sample.bytes)
  assert.equal(torrent.timeRemaining, Number.POSITIVE_INFINITY)
  assert.equal(torrent.toJSON().timeRemaining, null)
  assert.equal(torrent.toJSON().error, undefined)
})

test('util.inspect shows facts and no internals', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000, 'pack/b.bin': 1000 })
  const client = bench.client()
  const torrent = await client.add(sample.bytes)
  const [file] = torrent.files
  const shown = [client, torrent, file].map((one) => inspect(one))
  for (const text of shown) assert.doesNotMatch(text, /_events|#|session|undefined: /)
  assert.match(shown[0] ?? '', /^Client \{.*torrents: 1/s)
  assert.match(shown[1] ?? '', new RegExp(`^Torrent \\{\\s+infoHash: '${torrent.infoHash}'.*files: 2`, 's'))
  assert.match(shown[2] ?? '', /^TorrentFile \{\s+name: 'a.bin'/)
  assert.equal(inspect({ client }, { depth: 0 }), '{ client: [Client] }')
})

test('a torrent exposes the fields of its .torrent, and the web seeds of a magnet link', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a.bin': 1000 })
  const bytes = await createTorrent(sample.root, {
    comment: 'A film',
    createdBy: 'maker',
    creationDate: new Date(9e11)
  })
  const client = bench.client()
  const torrent = await client.add(bytes)
  assert.equal(torrent.comment, 'A film')
  assert.equal(torrent.createdBy, 'maker')
  assert.deepEqual(torrent.creationDate, new Date(9e11))
  assert.deepEqual(torrent.webSeeds, [])
  assert.equal(torrent.paused, false)
  torrent.pause()
  assert.equal(torrent.paused, true)
  const magnet = `magnet:?xt=urn:btih:${'1'.repeat(40)}&ws=${encodeURIComponent('http://127.0.0.1/a.bin')}`
  client.add(magnet).catch(() => {})
  await once(client, 'torrent')
  const linked = client.get('1'.repeat(40))
  assert.deepEqual(linked?.webSeeds, ['http://127.0.0.1/a.bin'])
  assert.match(linked?.magnetURI ?? '', /&ws=http/)
  assert.equal(linked?.comment, undefined)
})

test('progress of a client is the verified part of everything selected in all torrents', async (t) => {
  const bench = new Bench(t)
  const client = bench.client()
  assert.equal(client.progress, 0)
  const here = await bench.sample({ 'here.bin': 300_000 })
  const missing = await bench.sample({ 'missing.bin': 100_000 })
  const torrent = await client.add(here.bytes, { path: here.folder })
  await until('the check to end', () => torrent.done)
  assert.equal(client.progress, 1)
  await client.add(missing.bytes)
  assert.equal(client.progress, 0.75)
})

test('a file has a path on disk once it is complete, and none in memory', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 70_000, 'pack/b.bin': 70_000 })
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench.client().add(sample.bytes)
  assert.equal(torrent.files[1]?.diskPath, undefined)
  torrent.addPeer(addressOf(seed))
  await torrent.whenDone()
  const { diskPath = '' } = torrent.files[1] ?? {}
  assert.ok(path.isAbsolute(diskPath))
  assert.deepEqual(readFileSync(diskPath), readFileSync(path.join(sample.folder, 'pack/b.bin')))
  const other = await bench
    .client()
    .add(sample.bytes, { storage: new MemoryStorage(), peers: [addressOf(seed)] })
  await other.whenDone()
  assert.equal(other.files[1]?.diskPath, undefined)
})

test("the event 'status' comes with each change", async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a.bin': 200_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const heard: TorrentStatus[] = []
  client.on('torrent', (torrent) => torrent.on('status', (status) => heard.push(status)))
  const torrent = await client.add(sample.bytes, { select: 'none' })
  torrent.addPeer(addressOf(seed))
  torrent.select(0)
  await torrent.whenDone()
  torrent.pause()
  torrent.resume()
  torrent.resume()
  await torrent.recheck()
  await torrent.close()
  assert.deepEqual(heard, [
    'idle',
    'downloading',
    'seeding',
    'paused',
    'seeding',
    'checking',
    'seeding',
    'closed'
  ])
})

test('a listener of the status that closes a complete torrent does not fail those who wait for it', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a.bin': 100_000 })
  const seed = bench.client()
  await seed.add(sample.bytes, { path: sample.folder })
  const torrent = await bench.client().add(sample.bytes, { paused: true })
  torrent.on('status', (status) => {
    if (status === 'seeding') void torrent.close()
  })
  const done = torrent.whenDone()
  torrent.addPeer(addressOf(seed))
  torrent.resume()
  await done
})
