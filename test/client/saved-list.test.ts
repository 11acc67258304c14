import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Client } from '../../lib/client/client.ts'
import { decodeSavedTorrents, encodeSavedTorrents } from '../../lib/client/saved-torrents.ts'
import { formatTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { SavedTorrent } from '../../lib/torrent/saved-torrent.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { addressOf, assertSame, Bench } from '../torrent/bench.ts'

const tracker = 'http://127.0.0.1:9/announce'
const other = 'udp://127.0.0.1:9/other'

function byName(client: Client, name: string): Torrent {
  const found = client.torrents.find((torrent) => torrent.name === name)
  assert.ok(found, `${name} is there`)
  return found
}

/** Collects the warnings of a client. */
function warningsOf(client: Client): Error[] {
  const warnings: Error[] = []
  client.on('warning', (warning) => warnings.push(warning))
  return warnings
}

test('a restart restores everything', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const film = await bench.sample({ 'film.mkv': 200_000 }, { trackers: [tracker] })
  const pack = await bench.sample({ 'pack/a': 100_000, 'pack/b': 100_000, 'pack/c': 100_000 })
  const home = await bench.sample({ 'home/photo:1.jpg': 50_000 })
  const { client: seed } = await bench.seeder(film)
  const folder = bench.folder()

  const first = bench.client({ state, maxActiveDownloads: 9 })
  assert.deepEqual(await first.restored(), [])
  const one = await first.add(film.bytes, { path: folder, peers: [addressOf(seed)] })
  one.addTrackers([other])
  await one.whenDone()
  const two = await first.add(pack.bytes, { select: [1], seedRatio: Infinity, paused: true })
  two.select(2, 7)
  const three = await first.seed(home.root, { seedTime: 1e9, pieceLength: 32768 })
  const leecher = bench.client()
  await (await leecher.add(home.bytes, { peers: [addressOf(first)] })).whenDone()
  first
    .add('magnet:?xt=urn:btih:c9e15763f722f23e98a29decdfae341b98d53056&dn=unknown&x.pe=127.0.0.1:9', {
      select: [3]
    })
    .catch(() => {})
  await once(first, 'torrent')
  first.move(byName(first, 'unknown'), 1)
  const names = first.torrents.map(({ name }) => name)
  assert.deepEqual(names, ['film.mkv', 'unknown', 'pack', 'home'])
  const before = { received: one.received, uploaded: three.uploaded, downloaded: one.ratio }
  assert.ok(three.uploaded >= 50_000)
  await first.close()

  const second = bench.client({ state })
  const warnings = warningsOf(second)
  const emitted: string[] = []
  second.on('torrent', ({ name }) => emitted.push(name))
  const restored = await second.restored()
  assert.deepEqual(emitted.length, 4)
  assert.deepEqual(restored, second.torrents)
  assert.deepEqual(
    restored.map(({ name }) => name),
    names
  )
  const again = byName(second, 'film.mkv')
  assert.equal(again.status, 'seeding')
  assert.equal(again.path, folder)
  assert.deepEqual(again.trackers.map(({ url }) => url).sort(), [tracker, other])
  assertSame(again, film)
  const packed = byName(second, 'pack')
  assert.equal(packed.status, 'paused')
  assert.deepEqual(
    packed.files.map(({ priority }) => priority),
    [0, 4, 7]
  )
  assert.equal(packed.seedRatio, Infinity)
  assert.equal(packed.seedTime, undefined)
  const seeded = byName(second, 'home')
  assert.equal(seeded.status, 'seeding', 'from where it is')
  assert.equal(seeded.uploaded, before.uploaded)
  assert.ok(seeded.seedingTime > 0)
  assert.equal(seeded.seedTime, 1e9)
  assert.equal(byName(second, 'unknown').status, 'metadata')
  assert.deepEqual(
    warnings.filter((warning) => 'code' in warning && warning.code === 'ERR_CLIENT_STATE'),
    []
  )
  // Adding a restored torrent returns the same one.
  assert.equal(await second.add(pack.bytes, { select: 'all', paused: false }), packed)
  assert.deepEqual(
    packed.files.map(({ selected }) => selected),
    [true, true, true]
  )
  assert.equal(packed.status, 'downloading')
  assert.equal((await second.restored()).length, 3, 'add returns a torrent added meanwhile')
  // A removed torrent stays removed.
  await second.remove(again)
  await second.remove(byName(second, 'unknown'))
  await second.close()
  const third = bench.client({ state })
  assert.deepEqual(
    (await third.restored()).map(({ name }) => name),
    ['pack', 'home']
  )
  assert.ok(!existsSync(path.join(state, `${again.infoHash}.torrent`)))
})

test('add may change the path of a saved torrent and have it verified', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sample = await bench.sample({ a: 100_000 })
  const options = { state, path: bench.folder() }
  const first = bench.client(options)
  await first.add(sample.bytes)
  await first.close()
  const second = bench.client(options)
  const moved = await second.add(sample.bytes, { path: sample.folder })
  await moved.whenDone()
  assert.equal(moved.path, sample.folder)
  assert.deepEqual(second.torrents, [moved])
  await second.close()
  const third = bench.client(options)
  const verified = await third.add(sample.bytes, { verify: true })
  assert.equal(verified.path, sample.folder, 'still where it was')
  await verified.whenDone()
  await third.close()
  const fourth = bench.client(options)
  const inMemory = await fourth.add(sample.bytes, { storage: new MemoryStorage() })
  assert.equal(inMemory.done, false)
  await fourth.close()
  const fifth = bench.client(options)
  assert.deepEqual(await fifth.restored(), [], 'memory does not survive')
})

test('a state folder with records alone restores no torrents', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sample = await bench.sample({ a: 100_000 })
  const first = bench.client({ state, restore: false, path: sample.folder })
  const twin = bench.client({ state, restore: false, path: bench.folder() })
  const warnings = [...warningsOf(first), ...warningsOf(twin)]
  await (await first.add(sample.bytes)).whenDone()
  await first.close()
  assert.deepEqual(
    readdirSync(state).map((name) => path.extname(name)),
    ['.resume']
  )
  const second = bench.client({ state })
  assert.deepEqual(await second.restored(), [])
  assert.deepEqual(warnings, [])
  assert.throws(() => bench.client({ restore: true }), { code: 'ERR_CLIENT_OPTION' })
})

test('one client at a time has the torrents of a folder', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sample = await bench.sample({ a: 100_000 })
  const first = bench.client({ state })
  await first.add(sample.bytes)
  const second = bench.client({ state })
  const warnings = warningsOf(second)
  assert.deepEqual(await second.restored(), [])
  assert.match(warnings[0]?.message ?? '', /in use by another client/)
  const { bytes } = await bench.sample({ b: 100_000 })
  await second.add(bytes)
  await second.close()
  await first.close()
  const third = bench.client({ state })
  assert.deepEqual(
    (await third.restored()).map(({ name }) => name),
    ['a']
  )
})

const locks: [what: string, holder: unknown, held: boolean][] = [
  ['a process that has ended', { pid: 2 ** 30, thread: 0, host: hostname(), started: '' }, false],
  [
    'a process before us with our number',
    { pid: process.pid, thread: 0, host: hostname(), started: '1' },
    false
  ],
  [
    'another process with the number of one that has ended',
    { pid: process.ppid, thread: 0, host: hostname(), started: 'x' },
    process.platform !== 'linux'
  ],
  ['a process that runs', { pid: process.ppid, thread: 0, host: hostname(), started: '' }, true],
  ['another machine', { pid: 1, thread: 0, host: 'elsewhere', started: '' }, true],
  ['no readable owner', 'nonsense', true],
  ['a process that ended as it wrote it', undefined, false]
]
for (const [what, holder, held] of locks) {
  test(`the lock of ${what} ${held ? 'counts' : 'does not count'}`, async (t) => {
    const bench = new Bench(t)
    const state = bench.folder()
    const file = path.join(state, 'client.lock')
    writeFileSync(file, holder === undefined ? '{"pid":1,' : JSON.stringify(holder))
    const client = bench.client({ state })
    const warnings = warningsOf(client)
    await client.restored()
    assert.equal(warnings.length, held ? 1 : 0)
    await client.close()
    assert.equal(existsSync(file), held)
  })
}

test('a damaged entry costs no other entry', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const first = bench.client({ state })
  for (const name of ['a', 'b', 'c']) await first.add((await bench.sample({ [name]: 50_000 })).bytes)
  await first.close()
  const file = path.join(state, 'client.session')
  const lines = readFileSync(file, 'utf8').split('\n')
  lines[2] = lines[2]?.replace('"paused":false', '"paused":true ') ?? ''
  writeFileSync(file, `${lines.join('\n')}{"torn`)
  const second = bench.client({ state })
  const warnings = warningsOf(second)
  assert.deepEqual(
    (await second.restored()).map(({ name }) => name),
    ['a', 'c']
  )
  assert.match(warnings[0]?.message ?? '', /2 of its lines/)
  assert.ok(existsSync(`${file}.damaged`))
  await second.close()
  const third = bench.client({ state })
  const quiet = warningsOf(third)
  assert.equal((await third.restored()).length, 2)
  assert.deepEqual(quiet, [])
})

test('a torrent that cannot be opened stays for the next run', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const folder = path.join(bench.folder(), 'disk')
  mkdirSync(folder)
  const sample = await bench.sample({ 'pack/a': 50_000, 'pack/b': 50_000 })
  const first = bench.client({ state })
  await first.add(sample.bytes, { path: folder })
  await first.close()
  // Another disk is mounted there, and a file is where the folder should be.
  rmSync(folder, { recursive: true })
  writeFileSync(folder, 'taken')
  const second = bench.client({ state })
  const warnings = warningsOf(second)
  assert.deepEqual(await second.restored(), [])
  assert.match(warnings[0]?.message ?? '', /cannot be restored in this run/)
  await second.close()
  rmSync(folder)
  const third = bench.client({ state })
  const [torrent] = await third.restored()
  assert.equal(torrent?.name, 'pack')
  assert.equal(torrent?.path, folder)
})

test('an unreadable list is not overwritten', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  mkdirSync(path.join(state, 'client.session'))
  const client = bench.client({ state })
  const warnings = warningsOf(client)
  assert.deepEqual(await client.restored(), [])
  assert.match(warnings[0]?.message ?? '', /cannot be read/)
  await client.add((await bench.sample({ a: 50_000 })).bytes)
  await client.close()
  assert.deepEqual(readdirSync(path.join(state, 'client.session')), [])
})

test('a process killed at any moment leaves a usable state', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sources = bench.folder()
  const script = new URL('./adds-torrents.js', import.meta.url).pathname
  const count = 12
  for (let n = 0; n < count; n++) {
    writeFileSync(path.join(sources, `${n}.torrent`), (await bench.sample({ [`file${n}`]: 40_000 })).bytes)
  }
  const known = new Set<string>()
  for (let round = 0; round < 4; round++) {
    const child = spawn(process.execPath, [script, state, sources, bench.folder()], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    // Each round kills it a little later, while it adds and saves.
    let said = 0
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString().split('\n').length - 1
      if (said > 8 * round) child.kill('SIGKILL')
    })
    await once(child, 'exit')
    const client = bench.client({ state })
    const warnings = warningsOf(client)
    const restored = await client.restored()
    assert.deepEqual(warnings, [], 'nothing is damaged')
    for (const name of known) byName(client, name)
    for (const torrent of restored) {
      assert.equal(torrent.status, 'downloading')
      known.add(torrent.name)
    }
    await client.close()
  }
  assert.ok(known.size > 0)
})

test('a torrent is saved with its metadata before its record is read', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const { bytes, metainfo } = await bench.sample({ a: 50_000 }, { private: true, trackers: [tracker] })
  const first = bench.client({ state })
  const added = assert.rejects(first.add(bytes), { code: 'ERR_TORRENT_CLOSED' })
  await once(first, 'torrent')
  await first.close()
  await added
  const second = bench.client({ state })
  const [torrent] = await second.restored()
  assert.equal(torrent?.status, 'downloading')
  assert.equal(torrent.private, true)
  assert.deepEqual(torrent.torrentFile, formatTorrent(metainfo))
})

test('bytes of a list: complete lines are read, whatever the rest', () => {
  const saved = fc.record(
    {
      infoHash: fc.stringMatching(/^[0-9a-f]{40}$/),
      path: fc.string(),
      folderMode: fc.constantFrom(undefined, 0o700),
      name: fc.option(fc.string(), { nil: undefined }),
      trackers: fc.array(fc.array(fc.string(), { maxLength: 2 }), { maxLength: 2 }),
      trustedTrackers: fc.constantFrom(undefined, [], ['http://127.0.0.1/x?key=1']),
      peers: fc.array(fc.string(), { maxLength: 2 }),
      select: fc.constantFrom(undefined, 'all' as const, 'none' as const, [0, 3]),
      selectOnly: fc.constantFrom(undefined, [
        { start: 0, end: 2 },
        { start: 3, end: 2 ** 40 }
      ]),
      filePaths: fc.constantFrom(undefined, ['/a', '/b\n']),
      infoHashV2: fc.constant(undefined),
      paused: fc.boolean(),
      finished: fc.boolean(),
      goalWaived: fc.boolean(),
      seedRatio: fc.constantFrom(undefined, 0, 1.5, Infinity),
      seedTime: fc.constantFrom(undefined, 5, Infinity),
      downloadLimit: fc.constantFrom(undefined, 0, 1e6),
      uploadLimit: fc.constantFrom(undefined, 5),
      superSeeding: fc.boolean(),
      private: fc.boolean(),
      uploaded: fc.nat(),
      downloaded: fc.nat(),
      secondsActive: fc.nat(),
      secondsSeeding: fc.nat(),
      addedMs: fc.nat(),
      completed: fc.boolean()
    },
    { noNullPrototype: true }
  ) satisfies fc.Arbitrary<SavedTorrent>
  const savedTorrents = fc.uniqueArray(saved, {
    selector: ({ infoHash }) => infoHash,
    minLength: 1,
    maxLength: 5
  })
  fc.assert(
    fc.property(savedTorrents, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, at, flip) => {
      const bytes = encodeSavedTorrents(list)
      assert.deepEqual(decodeSavedTorrents(bytes), { savedTorrents: list, damaged: 0 })
      const spoilt = Uint8Array.from(bytes)
      const index = at % spoilt.length
      spoilt[index] = (spoilt[index] ?? 0) ^ flip
      assert.ok(decodeSavedTorrents(spoilt).savedTorrents.length >= list.length - 2)
      const torn = decodeSavedTorrents(bytes.subarray(0, index))
      assert.deepEqual(torn.savedTorrents, list.slice(0, torn.savedTorrents.length))
    }),
    { numRuns: 200 }
  )
  fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeSavedTorrents(bytes).savedTorrents.length === 0))
})

test('a list is replaced atomically: leftovers of a crash do not count', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const first = bench.client({ state })
  await first.add((await bench.sample({ a: 50_000 })).bytes)
  await first.close()
  const file = path.join(state, 'client.session')
  writeFileSync(`${file}.tmp`, 'piecewise sess')
  const second = bench.client({ state })
  assert.equal((await second.restored()).length, 1)
  await second.close()
  assert.ok(!existsSync(`${file}.tmp`))
  renameSync(file, `${file}.moved`)
  assert.deepEqual(await bench.client({ state }).restored(), [])
})

test('unchanged files are seeded again without hashing', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const sample = await bench.sample({ 'pack/a': 200_000, 'pack/b': 100_000 })
  let hashed = 0
  const seed = async (more: object = {}): Promise<string> => {
    hashed = 0
    const client = bench.client({ state, restore: false })
    const torrent = await client.seed(sample.root, { onProgress: () => hashed++, ...more })
    assert.equal(torrent.status, 'seeding')
    const leecher = await bench.client().add(torrent.torrentFile ?? '', { peers: [addressOf(client)] })
    await leecher.whenDone()
    await client.close()
    return torrent.infoHash
  }
  const infoHash = await seed()
  assert.ok(hashed > 0)
  assert.equal(await seed(), infoHash)
  assert.equal(hashed, 0)
  await seed({ private: true })
  assert.ok(hashed > 0, 'another torrent of the same files')
  writeFileSync(path.join(sample.root, 'a'), new Uint8Array(200_000))
  assert.notEqual(await seed(), infoHash)
  assert.ok(hashed > 0)
  const [kept = ''] = readdirSync(state).filter((name) => name.endsWith('.seed'))
  writeFileSync(path.join(state, kept), 'torn')
  for (const options of [{}, { private: true }]) await seed(options)
})

test('the same file is seeded under another name, and again under its own', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const file = (await bench.sample({ 'film.bin': 200_000 })).root
  let hashed = 0
  const seed = async (name?: string): Promise<string> => {
    hashed = 0
    await using client = bench.client({ state, restore: false })
    const torrent = await client.seed(file, {
      ...(name !== undefined && { name }),
      onProgress: () => hashed++
    })
    assert.equal(torrent.name, name ?? 'film.bin')
    return torrent.infoHash
  }
  const infoHash = await seed()
  const other = await seed('other.bin')
  assert.notEqual(other, infoHash)
  assert.equal(await seed(), infoHash)
  assert.equal(hashed, 0)
  assert.equal(await seed('other.bin'), other)
  assert.equal(hashed, 0)
})

test('a restored torrent has its name before its metadata is read', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const first = bench.client({ state })
  await first.add((await bench.sample({ 'film.mkv': 50_000 })).bytes, { path: bench.folder() })
  await first.close()
  const second = bench.client({ state })
  const names: string[] = []
  second.on('torrent', ({ name, status }) => names.push(`${status} ${name}`))
  await second.restored()
  assert.deepEqual(names, ['metadata film.mkv'])
})
