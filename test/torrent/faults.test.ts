import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { Storage } from '../../lib/storage/storage.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { addressOf, Bench, same } from './bench.ts'
import { FaultyStorage } from './faulty-storage.ts'

const full = new TorrentError('ERR_STORAGE_FULL', 'the disk is full')

test('a full disk stops the torrent, and resume works once there is space', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const storage = new FaultyStorage()
  storage.writeFault = full
  const torrent = await client.add(sample.bytes, { storage })
  let heardByClient = 0
  client.on('error', () => heardByClient++)
  const reading = torrent.files[0]?.arrayBuffer()
  const done = torrent.whenDone()
  const errors: Error[] = []
  const error = new Promise((resolve) => {
    torrent.on('error', (one) => {
      errors.push(one)
      resolve(one)
    })
  })
  torrent.addPeer(addressOf(seed))
  assert.equal(await error, full)
  await assert.rejects(done, full)
  await assert.rejects(async () => reading, full)
  assert.equal(torrent.status, 'error')
  assert.equal(torrent.error, full)
  assert.equal(heardByClient, 0, 'the torrent has a listener of its own')
  await assert.rejects(torrent.whenDone(), full)
  await assert.rejects(async () => torrent.files[0]?.text(), full)
  storage.writeFault = undefined
  torrent.resume()
  assert.equal(torrent.error, undefined)
  assert.equal(torrent.status, 'downloading')
  await torrent.whenDone()
  assert.equal(torrent.progress, 1)
  assert.ok(same(await torrent.files[0]?.arrayBuffer(), sample.data))
  assert.equal(errors.length, 1)
})

test('a torrent error without a listener goes to the client, else becomes a process warning', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed } = await bench.seeder(sample)
  const failing = (): FaultyStorage => {
    const storage = new FaultyStorage()
    storage.writeFault = full
    return storage
  }
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { storage: failing(), peers: [addressOf(seed)] })
  // `once` would add a listener for errors.
  const heard = await new Promise<unknown[]>((resolve) => client.on('error', (...args) => resolve(args)))
  assert.deepEqual(heard, [full, torrent])
  const warned = once(process, 'warning')
  await bench.client().add(sample.bytes, { storage: failing(), peers: [addressOf(seed)] })
  assert.deepEqual(await warned, [full])
})

test('a storage that cannot be opened is reported at once', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const client = bench.client()
  const storage = new FaultyStorage()
  storage.openFault = full
  await assert.rejects(client.add(sample.bytes, { storage }), full)
  await assert.rejects(client.add(source.magnetURI, { storage, peers: [addressOf(seed)] }), full)
  // A file where a folder should be.
  const taken = path.join(bench.folder(), 'taken')
  writeFileSync(taken, 'x')
  await assert.rejects(client.add(sample.bytes, { path: taken }), TorrentError)
  assert.deepEqual(client.torrents, [])
})

test('a storage that cannot be read does not keep a reader waiting', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed } = await bench.seeder(sample)
  const storage = new FaultyStorage()
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { storage, peers: [addressOf(seed)] })
  await torrent.whenDone()
  storage.readFault = new TorrentError('ERR_STORAGE_READ', 'it rattles')
  await assert.rejects(async () => torrent.files[0]?.text(), { code: 'ERR_STORAGE_READ' })
  // Requests of a peer are rejected; it downloads elsewhere.
  const other = await bench.client().add(sample.bytes, { peers: [addressOf(client)] })
  await once(torrent, 'peer')
  other.addPeer(addressOf(seed))
  await other.whenDone()
})

test('a resume record that cannot be written is a warning', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed } = await bench.seeder(sample)
  const state = path.join(bench.folder(), 'state')
  writeFileSync(state, 'not a folder')
  const client = bench.client({ state })
  const torrent = await client.add(sample.bytes, { storage: new FaultyStorage(), peers: [addressOf(seed)] })
  const warnings: Error[] = []
  torrent.on('warning', (warning) => warnings.push(warning))
  await torrent.whenDone()
  await client.close()
  assert.ok(warnings.length > 0)
})

test('a minimal storage works: no records, no selection, nothing on disk', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 50_000, 'pack/b.bin': 50_000 })
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  const memory = new FaultyStorage()
  const plain: Storage = {
    open: (layout) => memory.open(layout),
    read: (byteOffset, target) => memory.read(byteOffset, target),
    write: (byteOffset, chunks) => memory.write(byteOffset, chunks),
    sync: () => memory.sync(),
    close: () => memory.close(),
    delete: () => memory.delete()
  }
  const client = bench.client({ path: folder })
  const torrent = await client.add(sample.bytes, { storage: plain, select: [0], peers: [addressOf(seed)] })
  await torrent.whenDone()
  torrent.select(1)
  await torrent.whenDone()
  assert.ok(same(await torrent.files[1]?.arrayBuffer(), sample.data.subarray(50_000)))
  await client.remove(torrent, { deleteFiles: true })
  assert.deepEqual(readdirSync(folder), [])
})
