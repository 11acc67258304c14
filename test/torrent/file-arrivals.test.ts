import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { FileStorage } from '../../lib/storage/file-storage.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench, bytesOf, type Sample } from './bench.ts'

/** Pieces of 32 KiB: `small` is inside the piece that ends `a`, and `b` shares that piece. */
const files = { 'pack/a.bin': 60_000, 'pack/a.small': 1_000, 'pack/b.bin': 60_000, 'pack/empty': 0 }
const [a, small, b, empty] = [0, 1, 2, 3]

/** Collects the names of files for which `file` was emitted. */
function listen(torrent: Torrent): string[] {
  const told: string[] = []
  torrent.on('file', ({ name }) => told.push(name))
  return told
}

/** Returns the names of done files, and asserts that each is correct on disk. */
function doneOf(torrent: Torrent, sample: Sample): string[] {
  const done = torrent.files.filter((file) => file.done)
  for (const { path: name } of done) {
    const bytes = readFileSync(path.join(torrent.path, name))
    assert.ok(bytes.equals(bytesOf(sample, name)), `${name} is done but not there`)
  }
  return done.map(({ name }) => name)
}

const rows: readonly (readonly [
  title: string,
  act: (torrent: Torrent) => unknown,
  done: string,
  told: string
])[] = [
  ['what is selected', (torrent) => torrent.select(a), 'a.bin', 'a.bin'],
  ['a file within a shared piece', (torrent) => torrent.select(small), 'a.small', 'a.small'],
  ['several', (torrent) => torrent.select([a, b]), 'a.bin b.bin', 'a.bin b.bin'],
  ['an empty file', (torrent) => torrent.select(empty), 'empty', 'empty'],
  [
    'a range, for which its file is made',
    (torrent) => torrent.select({ start: 0, end: 60_000 }),
    'a.bin',
    'a.bin'
  ],
  [
    'stored parts of a file, once it is selected',
    async (torrent) => {
      torrent.select([a, b])
      await torrent.whenDone()
      assert.equal(torrent.files[small]?.progress, 1)
      assert.equal(torrent.files[small]?.done, false, 'its bytes are kept elsewhere')
      torrent.select(small)
      assert.equal(torrent.done, false, 'it is not there yet')
    },
    'a.bin a.small b.bin',
    'a.bin b.bin a.small'
  ],
  [
    'stored parts of a file, once it is read',
    async (torrent) => {
      torrent.select([a])
      await torrent.whenDone()
      await torrent.files[small]?.arrayBuffer()
      await until('it to be there', () => torrent.files[small]?.done, { is: true })
    },
    'a.bin a.small',
    'a.bin a.small'
  ],
  [
    'a file that was deselected after it was begun',
    async (torrent) => {
      torrent.select([a])
      await torrent.whenDone()
      torrent.deselect(a)
      torrent.select(b)
    },
    'a.bin b.bin',
    'a.bin b.bin'
  ]
]

for (const [title, act, done, told] of rows) {
  test(`a file is done once it is at its path: ${title}`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample(files)
    const { client: seed } = await bench.seeder(sample)
    const folder = bench.folder()
    const client = bench.client({ path: folder })
    const torrent = await client.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
    const heard = listen(torrent)
    torrent.on('file', (file) => {
      assert.equal(file.done, true, `${file.name} is told of and not done`)
      assert.ok(existsSync(path.join(torrent.path, file.path)))
    })
    assert.deepEqual(doneOf(torrent, sample), [])
    await act(torrent)
    await torrent.whenDone()
    assert.deepEqual(doneOf(torrent, sample), done.split(' '))
    assert.deepEqual(heard.sort(), told.split(' ').sort())
    await client.close()
    const again = await bench.client({ path: folder }).add(sample.bytes, { select: 'none' })
    const more = listen(again)
    assert.deepEqual(doneOf(again, sample), done.split(' '), 'after a restart too')
    assert.deepEqual(more, [])
  })
}

test('a file that has lost bytes is reported again once complete', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })
  const heard = listen(torrent)
  await torrent.whenDone()
  assert.deepEqual(heard.sort(), ['a.bin', 'a.small', 'b.bin'])
  await torrent.recheck()
  assert.deepEqual(heard.sort(), ['a.bin', 'a.bin', 'a.small', 'a.small', 'b.bin', 'b.bin'])
})

test('a user storage reports which files it keeps elsewhere', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  const storage = new FileStorage({ path: folder, partsPath: path.join(folder, 'parts') })
  const torrent = await bench
    .client()
    .add(sample.bytes, { path: folder, storage, select: [a], peers: [addressOf(seed)] })
  await torrent.whenDone()
  assert.deepEqual(doneOf(torrent, sample), ['a.bin'])
  torrent.select(small)
  await torrent.whenDone()
  assert.deepEqual(doneOf(torrent, sample), ['a.bin', 'a.small'])
})

test('files of a storage that keeps nothing elsewhere are done as soon as they are stored', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const storage = new MemoryStorage()
  const torrent = await bench.client().add(sample.bytes, { storage, select: [a], peers: [addressOf(seed)] })
  const heard = listen(torrent)
  await torrent.whenDone()
  assert.deepEqual(
    torrent.files.map(({ done }) => done),
    [true, true, false, true]
  )
  assert.deepEqual(heard.sort(), ['a.bin', 'a.small'])
})
