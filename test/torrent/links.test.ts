import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { decodeResume, encodeResume } from '../../lib/storage/resume-record.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { until } from '../support/until.ts'
import { addressOf, assertSame, Bench } from './bench.ts'

test('a torrent folder that is a link to another disk downloads and resumes, and is refused once the link changes', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000, 'pack/sub/b.bin': 100_000 })
  const { client: seeder } = await bench.seeder(sample)
  const [folder, disk, other, state] = [bench.folder(), bench.folder(), bench.folder(), bench.folder()]
  const link = path.join(folder, 'pack')
  symlinkSync(disk, link)
  const first = bench.client({ state, path: folder })
  const torrent = await first.add(sample.bytes, { peers: [addressOf(seeder)] })
  await torrent.whenDone()
  assertSame(torrent, sample)
  assert.deepEqual(readdirSync(disk).sort(), ['a.bin', 'sub'])
  await first.close()
  await seeder.close()

  const second = bench.client({ state })
  const [again] = await second.restored()
  assert.equal(again?.status, 'seeding')
  await second.close()

  cpSync(disk, other, { recursive: true })
  unlinkSync(link)
  symlinkSync(other, link)
  const third = bench.client({ state })
  const warning = once(third, 'warning')
  assert.deepEqual(await third.restored(), [])
  const [{ cause, message }] = (await warning) as [Error]
  assert.ok(cause instanceof TorrentError)
  assert.equal(cause.code, 'ERR_STORAGE_PATH')
  assert.ok(message.includes(link) && message.includes(disk) && message.includes(other), message)
  await third.close()

  // The torrent is kept, and comes back with its link.
  unlinkSync(link)
  symlinkSync(disk, link)
  const fourth = bench.client({ state })
  const [back] = await fourth.restored()
  assert.equal(back?.status, 'seeding')
  await fourth.remove(back, { deleteFiles: true })
  assert.deepEqual([existsSync(link), readdirSync(disk), readdirSync(other).length], [true, [], 2])
})

test('add with verify accepts a link that is already there', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000 })
  const [folder, disk, state] = [bench.folder(), bench.folder(), bench.folder()]
  cpSync(sample.folder, folder, { recursive: true })
  const client = bench.client({ state, path: folder })
  const torrent = await client.add(sample.bytes)
  await torrent.whenDone()
  await client.close()
  renameSync(path.join(folder, 'pack'), path.join(disk, 'pack'))
  symlinkSync(path.join(disk, 'pack'), path.join(folder, 'pack'))

  const second = bench.client({ state, path: folder })
  second.on('warning', () => {})
  assert.deepEqual(await second.restored(), [])
  await assert.rejects(second.add(sample.bytes), { code: 'ERR_STORAGE_PATH' })
  const added = await second.add(sample.bytes, { verify: true })
  await added.whenDone()
  assert.equal(added.received, 0)
  await second.close()
  const third = bench.client({ state })
  assert.deepEqual(
    (await third.restored()).map(({ infoHash }) => infoHash),
    [torrent.infoHash]
  )
})

test('a record of 0.1.0 accepts existing links, and the next record names them', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000 })
  const [folder, state] = [bench.folder(), bench.folder()]
  cpSync(path.join(sample.folder, 'pack'), path.join(folder, 'real'), { recursive: true })
  symlinkSync('real', path.join(folder, 'pack'))
  const first = bench.client({ state, path: folder })
  const { infoHash, whenDone } = await first.add(sample.bytes)
  assert.ok(whenDone)
  await first.get(infoHash)?.whenDone()
  await first.close()
  const file = path.join(state, `${infoHash}.resume`)
  const { links, ...old } = decodeResume(readFileSync(file))
  assert.deepEqual(links, [{ path: 'pack', target: path.join(folder, 'real') }])
  writeFileSync(file, encodeResume(old))

  const second = bench.client({ state })
  const [torrent] = await second.restored()
  assert.equal(torrent?.status, 'seeding')
  await second.close()
  assert.deepEqual(decodeResume(readFileSync(file)).links, links)
})

test('a link that appears at run time stops the download with an error, and nothing is written through it', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000 })
  const { client: seeder } = await bench.seeder(sample)
  const [folder, home] = [bench.folder(), bench.folder()]
  const client = bench.client({ path: folder })
  const torrent = await client.add(sample.bytes, { peers: [addressOf(seeder)], paused: true })
  symlinkSync(home, path.join(folder, 'pack'))
  const failed = once(torrent, 'error')
  torrent.resume()
  const [error] = (await failed) as [TorrentError]
  assert.equal(error.code, 'ERR_STORAGE_PATH')
  assert.deepEqual(readdirSync(home), [])
  await client.remove(torrent, { deleteFiles: true }).catch(() => {})
  assert.deepEqual(readdirSync(home), [])
})

test('records are not stored, replaced or removed through a link put there by others', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000 })
  const { client: seeder } = await bench.seeder(sample)
  for (const [swapped, removed] of [
    ['', false],
    ['', true],
    ['.piecewise', false],
    ['.piecewise', true]
  ] as const) {
    const [folder, home] = [bench.folder(), bench.folder()]
    const root = path.join(folder, 'data')
    const client = bench.client({ path: root })
    const torrent = await client.add(sample.bytes, { peers: [addressOf(seeder)] })
    await torrent.whenDone()
    const record = path.join(root, '.piecewise', `${torrent.infoHash}.resume`)
    await until('the resume record', () => existsSync(record))
    cpSync(path.join(root, swapped), home, { recursive: true })
    rmSync(path.join(root, swapped), { recursive: true })
    symlinkSync(home, path.join(root, swapped))
    const before = readdirSync(home, { recursive: true })
    const copy = path.join(home, path.relative(path.join(root, swapped), record))
    const bytes = readFileSync(copy)
    torrent.on('warning', () => {})
    torrent.deselect([0])
    if (removed) await client.remove(torrent, { deleteFiles: true }).catch(() => {})
    await client.close()
    assert.deepEqual(readdirSync(home, { recursive: true }), before)
    assert.ok(readFileSync(copy).equals(bytes))
  }
})

test('a seed whose folder is replaced by a link serves nothing from the new target', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000 })
  const [folder, home] = [bench.folder(), bench.folder()]
  cpSync(sample.folder, folder, { recursive: true })
  cpSync(sample.folder, home, { recursive: true })
  const client = bench.client({ path: folder })
  const torrent = await client.add(sample.bytes)
  await torrent.whenDone()
  rmSync(path.join(folder, 'pack'), { recursive: true })
  symlinkSync(path.join(home, 'pack'), path.join(folder, 'pack'))
  torrent.on('error', () => {})
  const leech = await bench.client().add(sample.bytes, { peers: [addressOf(client)] })
  await until('the lost piece to be noticed', () => torrent.downloaded, { is: 0 })
  assert.equal(leech.downloaded, 0)
  await client.remove(torrent, { deleteFiles: true }).catch(() => {})
  assert.deepEqual(readdirSync(path.join(home, 'pack')), ['a.bin'])
})

test('files seeded behind links are found after a restart', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000, 'pack/b.bin': 100_000 })
  const [folder, state] = [bench.folder(), bench.folder()]
  mkdirSync(path.join(folder, 'pack'))
  symlinkSync(path.join(sample.root, 'a.bin'), path.join(folder, 'pack/a.bin'))
  symlinkSync(path.join(sample.root, 'b.bin'), path.join(folder, 'pack/b.bin'))
  const first = bench.client({ state })
  const { infoHash } = await first.seed(path.join(folder, 'pack'), {
    pieceLength: 32768,
    creationDate: false
  })
  assert.equal(infoHash, Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex'))
  await first.close()
  const second = bench.client({ state })
  const [torrent] = await second.restored()
  assert.equal(torrent?.status, 'seeding')
  const leech = await bench.client().add(sample.bytes, { peers: [addressOf(second)] })
  await leech.whenDone()
  await second.remove(infoHash, { deleteFiles: true })
  assert.equal(readdirSync(sample.root).length, 2)
})
