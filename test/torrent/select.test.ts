import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { formatMagnet } from '../../lib/metainfo/magnet.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { addressOf, assertSame, Bench, bytesOf, type Sample, same } from './bench.ts'
import { paddedSample } from './padded.ts'

/** Three files, none of which ends at a piece boundary; one is in a folder of its own. */
const files = { 'pack/a.bin': 100_000, 'pack/b/b.bin': 50_000, 'pack/c.bin': 100_000 }

/** Returns the torrent's files that are on disk. */
function onDisk(torrent: Torrent): string[] {
  const folder = path.join(torrent.path, 'pack')
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.bin'))
    .sort()
}

test('select none fetches only what is read', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
  assert.equal(torrent.status, 'idle')
  const [, file] = torrent.files
  const stored = once(torrent, 'file')
  assert.equal(file?.selected, false)
  assert.ok(same(await file?.arrayBuffer(), bytesOf(sample, 'pack/b/b.bin')))
  assert.equal(torrent.downloaded, 2 * 32768, 'no other pieces than those of the file')
  await stored
  assert.equal(file?.done, true)
  assert.deepEqual(onDisk(torrent), ['b/b.bin'])
})

test('only wanted files appear; stored parts of others move to their path when selected', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { select: [1], peers: [addressOf(seed)] })
  const [a, b, c] = torrent.files
  assert.deepEqual([a?.selected, b?.selected, c?.selected], [false, true, false])
  assert.deepEqual([a?.priority, b?.priority], [0, 4])
  const [file] = await once(torrent, 'file')
  assert.equal(file, b)
  await torrent.whenDone()
  assert.equal(torrent.progress, 1)
  assert.equal(b?.progress, 1)
  assert.deepEqual(onDisk(torrent), ['b/b.bin'])
  const before = torrent.received
  assert.equal(before, 2 * 32768)
  assert.ok((a?.downloaded ?? 0) > 0 && a?.done === false)
  a?.select()
  assert.equal(torrent.done, false)
  assert.equal(torrent.status, 'downloading')
  assert.ok(torrent.progress < 1)
  await torrent.whenDone()
  assert.deepEqual(onDisk(torrent), ['a.bin', 'b/b.bin'])
  torrent.select([2, { start: 0, end: 1 }], 7)
  assert.equal(c?.priority, 7)
  await torrent.whenDone()
  assert.equal(torrent.received, sample.data.length, 'border pieces are not fetched twice')
  await client.close()
  assertSame(torrent, sample)
  assert.equal(existsSync(path.join(torrent.path, '.piecewise', `${torrent.infoHash}.parts`)), false)
})

test('a deselected file that has not begun does not appear', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const torrent = await client.add(sample.bytes)
  const [a, b, c] = torrent.files
  torrent.deselect([a ?? 0, 1])
  assert.deepEqual([a?.selected, b?.selected, c?.selected], [false, false, true])
  torrent.addPeer(addressOf(seed))
  await torrent.whenDone()
  assert.deepEqual(onDisk(torrent), ['c.bin'])
  c?.deselect()
  assert.equal(torrent.progress, 0)
  assert.equal(torrent.done, false)
})

test('byte ranges are selected too, and their files appear', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
  torrent.select({ start: 200_000, end: 200_001 })
  await torrent.whenDone()
  assert.equal(torrent.downloaded, 32768)
  assert.deepEqual(onDisk(torrent), ['c.bin'])
  const at = 200_000 - 150_000
  const got = readFileSync(path.join(torrent.path, 'pack/c.bin')).subarray(at, at + 1)
  assert.ok(got.equals(sample.data.subarray(200_000, 200_001)))
  torrent.deselect({ start: 0, end: torrent.length })
  assert.equal(torrent.progress, 0)
})

test('an empty selection is refused', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const torrent = await bench.client().add(sample.bytes, { storage: new MemoryStorage() })
  for (const what of [3, -1, 0.5, { start: 0, end: 250_001 }, { start: 5, end: 5 }, { start: -1, end: 5 }]) {
    assert.throws(() => torrent.select(what), { code: 'ERR_TORRENT_SELECT' }, JSON.stringify(what))
    assert.throws(() => torrent.deselect([what]), { code: 'ERR_TORRENT_SELECT' }, JSON.stringify(what))
  }
  const foreign = { path: 'pack/z.bin', offset: 0, length: 1 }
  assert.throws(() => torrent.select(foreign), { code: 'ERR_TORRENT_SELECT' })
  for (const priority of [0, 8, 1.5]) {
    assert.throws(() => torrent.select(0, priority), RangeError)
    assert.throws(() => torrent.files[0]?.select(priority), RangeError)
  }
})

test('files of a higher priority come first', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 32768 * 8, 'pack/b.bin': 32768 * 8 })
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench.client().add(sample.bytes)
  torrent.files[1]?.select(7)
  const order: number[] = []
  torrent.on('verified', (piece) => order.push(piece))
  torrent.addPeer(addressOf(seed))
  await torrent.whenDone()
  // Allowed-fast pieces (BEP 6) may come first, so compare the average position, not each piece.
  const place = (wanted: (piece: number) => boolean): number =>
    order.reduce((sum, piece, at) => sum + (wanted(piece) ? at : 0), 0)
  assert.ok(place((piece) => piece >= 8) < place((piece) => piece < 8), order.join())
})

test('the selection survives a restart, unless another is given', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const folder = bench.folder()
  const first = bench.client({ path: folder })
  const one = await first.add(sample.bytes)
  one.files[0]?.deselect()
  one.files[1]?.select(7)
  one.select({ start: 5, end: 10 })
  await first.close()
  const second = bench.client({ path: folder })
  const two = await second.add(sample.bytes)
  assert.deepEqual(
    two.files.map(({ priority }) => priority),
    [0, 7, 4]
  )
  await second.close()
  const third = bench.client({ path: folder })
  const three = await third.add(sample.bytes, { select: 'all' })
  assert.deepEqual(
    three.files.map(({ priority }) => priority),
    [4, 4, 4]
  )
})

test('magnet links may select files', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const uri = `${source.magnetURI}&x.pe=${addressOf(seed)}`
  const torrent = await bench.client().add(`${uri}&so=1`)
  assert.deepEqual(
    torrent.files.map(({ selected }) => selected),
    [false, true, false]
  )
  await torrent.whenDone()
})

/** A torrent with two pad files and a symbolic link. */
function padded(): Sample {
  return paddedSample([['a', 100], 16284, ['b', 200], 16184, 'l', ['c', 300]], 16384)
}

const links: [string, string[]][] = [
  ['so=0', ['a']],
  ['so=2', ['b']],
  ['so=1,3,4', []],
  ['so=5', ['c']],
  ['so=0-2', ['a', 'b']],
  ['so=0&so=5', ['a', 'c']],
  ['so=0,77', ['a']],
  ['so=2-99999999999', ['b', 'c']],
  ['so=99', []],
  ['so=zero', ['a', 'b', 'c']]
]
test('indices of magnet links count all files, and those out of range select nothing (BEP 53)', async (t) => {
  const bench = new Bench(t)
  const { bytes, data } = padded()
  const storage = new MemoryStorage()
  const seed = bench.client()
  const source = await seed.add(bytes, { storage, select: 'none' })
  await storage.write(0, [data])
  await source.recheck()
  for (const [so, expected] of links) {
    const client = bench.client()
    const torrent = await client.add(`${source.magnetURI}&x.pe=${addressOf(seed)}&${so}`)
    const names = torrent.files.filter(({ selected }) => selected).map(({ name }) => name)
    assert.deepEqual(names, expected, so)
    await client.close()
  }
})

test('the selection of a magnet link is kept as ranges until the files are known', async (t) => {
  const bench = new Bench(t)
  const { bytes } = padded()
  const state = bench.folder()
  const { infoHashes } = parseTorrent(bytes)
  const first = bench.client({ state })
  const failed = first.add(`${formatMagnet({ infoHashes })}&so=2&so=0-9999999999`).catch(() => {})
  await once(first, 'torrent')
  await first.close()
  await failed
  const list = readFileSync(path.join(state, 'client.session'), 'utf8')
  assert.match(list, /"selectOnly":\[\[0,10000000000\]\]/)
  const second = bench.client({ state })
  await second.restored()
  const torrent = await second.add(bytes)
  assert.deepEqual(
    torrent.files.map(({ selected }) => selected),
    [true, true, true]
  )
})
