import assert from 'node:assert/strict'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { decodeResume, encodeResume } from '../../lib/storage/resume-record.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench, type Sample } from './bench.ts'

/** Returns the files below a folder, without those of piecewise. */
function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((name) => !name.startsWith('.piecewise/') && !name.endsWith('.parts'))
    .sort()
}

/** Asserts that the torrent's files equal the sample and are at the paths that the torrent names. */
function assertStored(torrent: Torrent, sample: Sample): void {
  for (const { path: name, offset, length } of torrent.files) {
    const bytes = readFileSync(path.join(torrent.path, name))
    assert.ok(bytes.equals(sample.data.subarray(offset, offset + length)), name)
    assert.equal(name.split('/')[0], torrent.name)
  }
}

/**
 * Makes a sample of files by their names on disk, and a copy of its folder with other names. `moves` maps
 * paths to paths.
 */
async function copyOf(
  bench: Bench,
  files: Record<string, number>,
  moves: [from: string, to: string][] = []
): Promise<{ sample: Sample; folder: string }> {
  const source = bench.folder()
  for (const [name, length] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(source, name)), { recursive: true })
    writeFileSync(path.join(source, name), Buffer.alloc(length, name))
  }
  const [first = ''] = readdirSync(source)
  const sample = await bench.sampleOf(path.join(source, first))
  const folder = bench.folder()
  cpSync(source, folder, { recursive: true })
  for (const [from, to] of moves) renameSync(path.join(folder, from), path.join(folder, to))
  return { sample, folder }
}

const longName = `${'n'.repeat(246)}.mkv`
const originals: [string, Record<string, number>][] = [
  ['a zero-width space in a file', { 'd/a\u200bb.txt': 70_000, 'd/plain': 40_000 }],
  ['a byte order mark in the folder', { '\ufeffd/a': 70_000, '\ufeffd/s/b': 5 }],
  ['a right-to-left mark in a single file', { 'א\u200f.txt': 70_000 }],
  ['joiners', { '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}/می\u200cخواهم.mp4': 70_000 }],
  ['a long name', { [`d/${longName}`]: 70_000, 'd/b': 1 }],
  ['a long name with an invisible operator', { [`d/${longName}\u2062`]: 70_000 }],
  ['small files that share a piece', { 'd/a\u200b': 10, 'd/b\u2060': 10, 'd/c': 10 }]
]
for (const [what, files] of originals) {
  test(`add() finds files seeded under their original names: ${what}`, async (t) => {
    const bench = new Bench(t)
    const { sample, folder } = await copyOf(bench, files)
    const [first = ''] = readdirSync(folder)
    const seed = bench.client()
    const { torrentFile } = await seed.seed(path.join(folder, first), { pieceLength: 32768 })
    assert.ok(torrentFile)
    await seed.close()
    const before = tree(folder)
    const torrent = await bench.client().add(torrentFile, { path: folder })
    await torrent.whenDone()
    assert.equal(torrent.received, 0)
    assert.deepEqual(tree(folder), before)
    assertStored(torrent, sample)
  })
}

const unsafe: [string, Record<string, number>, string[]][] = [
  ['a direction override', { 'd/cod\u202egpj.exe': 70_000 }, ['d/codgpj.exe']],
  ['a direction isolate beside a zero-width space', { 'd/a\u200b\u2066b': 70_000 }, ['d/ab']],
  ['a leading dot', { '.config/a': 70_000 }, ['_config/a']],
  ['a leading dot behind an invisible character', { '\u200b.bashrc': 70_000 }, ['_bashrc']],
  ['a control character beside a zero-width space', { 'd/a\u200b\n': 70_000 }, ['d/a_']]
]
for (const [what, files, expected] of unsafe) {
  test(`a name changed for safety is never used, whatever is there: ${what}`, async (t) => {
    const bench = new Bench(t)
    const { sample, folder } = await copyOf(bench, files)
    const { client: seed } = await bench.seeder(sample)
    const before = tree(folder)
    const stamps = before.map((name) => statSync(path.join(folder, name), { bigint: true }).ctimeNs)
    const torrent = await bench.client().add(sample.bytes, { path: folder, peers: [addressOf(seed)] })
    assert.equal(torrent.progress, 0)
    await torrent.whenDone()
    assertStored(torrent, sample)
    assert.deepEqual(
      torrent.files.map((file) => file.path),
      expected
    )
    assert.deepEqual(tree(folder), [...before, ...expected].sort())
    assert.deepEqual(
      before.map((name) => statSync(path.join(folder, name), { bigint: true }).ctimeNs),
      stamps
    )
  })
}

test('a file under another name counts only if a piece of it is right', async (t) => {
  const bench = new Bench(t)
  const { sample, folder } = await copyOf(bench, { 'd/a\u200bb': 200_000 })
  const { client: seed } = await bench.seeder(sample)
  const mine = path.join(folder, 'd/a\u200bb')
  writeFileSync(mine, Buffer.alloc(200_000, 'mine'))
  const torrent = await bench.client().add(sample.bytes, { path: folder, peers: [addressOf(seed)] })
  await torrent.whenDone()
  assert.deepEqual(tree(folder), ['d/ab', 'd/a\u200bb'])
  assert.ok(readFileSync(mine).equals(Buffer.alloc(200_000, 'mine')))
  assertStored(torrent, sample)
})

test('our own name precedes another one with the same bytes', async (t) => {
  const bench = new Bench(t)
  const { sample, folder } = await copyOf(bench, { 'd/a\u200bb': 100_000 })
  cpSync(path.join(folder, 'd/a\u200bb'), path.join(folder, 'd/ab'))
  const torrent = await bench.client().add(sample.bytes, { path: folder })
  await torrent.whenDone()
  assert.equal(torrent.files[0]?.path, 'd/ab')
})

test('one right piece of a damaged file is enough', async (t) => {
  const bench = new Bench(t)
  const { sample, folder } = await copyOf(bench, { 'd/a\u200bb': 10 * 32768 })
  const { client: seed } = await bench.seeder(sample)
  const file = path.join(folder, 'd/a\u200bb')
  const bytes = readFileSync(file)
  bytes.fill(1, 0, 9 * 32768)
  writeFileSync(file, bytes)
  const torrent = await bench.client().add(sample.bytes, { path: folder, peers: [addressOf(seed)] })
  await torrent.whenDone()
  assert.deepEqual(tree(folder), ['d/a\u200bb'])
  assert.equal(torrent.received, 9 * 32768)
})

/** A name as 0.1.0 and libtorrent store it: without joiners, at most 240 bytes, half of it. */
const family = '\u{1f468}\u200d\u{1f469}'
const before: [from: string, to: string][] = [
  [`d/${family}.mkv`, 'd/\u{1f468}\u{1f469}.mkv'],
  [`d/${longName}`, `d/${'n'.repeat(236)}.mkv`]
]
const stored = [`d/${'n'.repeat(236)}.mkv`, 'd/plain', 'd/\u{1f468}\u{1f469}.mkv']

/** The data of 0.1.0: one file, and a part of another. */
async function halfOf(t: TestContext): Promise<{ bench: Bench; sample: Sample; folder: string }> {
  const bench = new Bench(t)
  const files = { [`d/${longName}`]: 100_000, 'd/plain': 50_000, [`d/${family}.mkv`]: 120_000 }
  const { sample, folder } = await copyOf(bench, files, before)
  rmSync(path.join(folder, `d/${'n'.repeat(236)}.mkv`))
  rmSync(path.join(folder, 'd/plain'))
  return { bench, sample, folder }
}

test('a torrent whose data has the names of 0.1 keeps all of them', async (t) => {
  const { bench, sample, folder } = await halfOf(t)
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench.client().add(sample.bytes, { path: folder, peers: [addressOf(seed)] })
  await torrent.whenDone()
  assert.deepEqual(tree(folder), stored)
  assertStored(torrent, sample)
  assert.ok(torrent.received < 200_000)
})

test('the names of a run are those of the next one, and the data is not searched again', async (t) => {
  const bench = new Bench(t)
  const { sample, folder } = await copyOf(bench, { 'd/a\u200b': 100_000, 'd/b\u200d': 100_000 })
  rmSync(path.join(folder, 'd/b\u200d'))
  const state = bench.folder()
  const first = bench.client({ state, restore: false })
  const torrent = await first.add(sample.bytes, { path: folder })
  await until('90,000 verified bytes', () => torrent.downloaded, { is: (value) => value >= 90_000 })
  torrent.pause()
  await first.close()
  // Nothing is left to be found.
  renameSync(path.join(folder, 'd'), path.join(folder, 'moved'))
  const second = bench.client({ state, restore: false })
  const again = await second.add(sample.bytes, { path: folder })
  assert.deepEqual(
    again.files.map((file) => file.path),
    ['d/a\u200b', 'd/b\u200d']
  )
})

/** Replaces a record by one that 0.1.0 could have written. */
function likeBefore(state: string, infoHash: string, created: readonly string[]): void {
  const file = path.join(state, `${infoHash}.resume`)
  const { spelling, ...record } = decodeResume(readFileSync(file))
  assert.notEqual(spelling, undefined)
  writeFileSync(file, encodeResume({ ...record, created }))
}

test('a record of 0.1 in the state folder keeps its names, also with a leading dot', async (t) => {
  const bench = new Bench(t)
  const { sample, folder } = await copyOf(bench, { '.hidden/a': 100_000, '.hidden/b': 100_000 })
  rmSync(path.join(folder, '.hidden/b'))
  const { client: seed } = await bench.seeder(sample)
  const state = bench.folder()
  renameSync(path.join(folder, '.hidden'), path.join(folder, '_hidden'))
  const first = bench.client({ state, restore: false })
  const torrent = await first.add(sample.bytes, { path: folder })
  assert.equal(torrent.name, '_hidden')
  await until('90,000 verified bytes', () => torrent.downloaded, { is: (value) => value >= 90_000 })
  torrent.pause()
  await first.close()
  renameSync(path.join(folder, '_hidden'), path.join(folder, '.hidden'))
  // A file under today's name does not count.
  cpSync(path.join(folder, '.hidden'), path.join(folder, '_hidden'), { recursive: true })
  likeBefore(state, torrent.infoHash, ['.hidden/a', '.hidden/'])
  const second = bench.client({ state, restore: false })
  const again = await second.add(sample.bytes, { path: folder, paused: false, peers: [addressOf(seed)] })
  assert.equal(again.name, '.hidden')
  assert.ok(again.downloaded > 90_000, 'trusted without a check')
  await again.whenDone()
  assertStored(again, sample)
  assert.deepEqual(tree(folder), ['.hidden/a', '.hidden/b', '_hidden/a'])
  await second.remove(again, { deleteFiles: true })
  assert.deepEqual(tree(folder), ['_hidden/a'])
})

test('a record of 0.1 of seeded files does not hide their names', async (t) => {
  const bench = new Bench(t)
  const { sample, folder } = await copyOf(bench, { [`d/${family}.mkv`]: 100_000 })
  const state = bench.folder()
  const first = bench.client({ state, restore: false })
  const torrent = await first.add(sample.bytes, { path: folder })
  await torrent.whenDone()
  await first.close()
  likeBefore(state, torrent.infoHash, [])
  const again = await bench.client({ state, restore: false }).add(sample.bytes, { path: folder })
  await again.whenDone()
  assertStored(again, sample)
  assert.equal(again.received, 0)
})
