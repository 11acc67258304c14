import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import type { Client } from '../../lib/client/client.ts'
import { hashOf } from '../../lib/hash/running-hash.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench } from '../torrent/bench.ts'

/** Makes a .torrent of files with these paths, and a client that seeds it. */
async function hostile(
  bench: Bench,
  name: string,
  paths: readonly (readonly string[])[]
): Promise<{ bytes: Uint8Array; seed: Client }> {
  const content = new Uint8Array(1000 * Math.max(1, paths.length)).fill(88)
  const info = {
    name,
    'piece length': 16384,
    pieces: hashOf('sha1', content),
    ...(paths.length === 0 ? { length: 1000 } : { files: paths.map((one) => ({ path: one, length: 1000 })) })
  }
  const bytes = encode({ info })
  const seed = bench.client()
  const storage = new MemoryStorage()
  const torrent = await seed.add(bytes, { storage })
  await storage.write(0, [content])
  await torrent.recheck()
  return { bytes, seed }
}

/** Returns everything in a folder by its path, with the contents of files. */
function tree(folder: string, below = ''): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(path.join(folder, below))) {
    const at = path.join(below, name)
    if (statSync(path.join(folder, at)).isDirectory()) for (const one of tree(folder, at)) found.set(...one)
    else found.set(at, readFileSync(path.join(folder, at), 'latin1'))
  }
  return found
}

/** Starts a client with its state inside the data, and adds a torrent. */
async function withState(
  t: TestContext,
  name = 'state'
): Promise<{ bench: Bench; data: string; state: string; client: Client }> {
  const bench = new Bench(t)
  const data = bench.folder()
  const state = path.join(data, name)
  const client = bench.client({ path: data, state })
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  await client.add(sample.bytes, { paused: true })
  await until('the session file', () => readdirSync(state).includes('client.session'))
  return { bench, data, state, client }
}

const refused = { code: 'ERR_STORAGE_PATH', message: /holds the state of piecewise/ }

const layouts: readonly (readonly [string, string, string, readonly (readonly string[])[]])[] = [
  ['a folder of that name', 'state', 'state', [['client.session'], ['evil.txt']]],
  ['one file of that name', 'state', 'state', []],
  ['a deep folder', 'a/b/state', 'a', [['b', 'state', 'client.session']]],
  ['a file where a folder above it is', 'a/b/state', 'a', [['b']]],
  ['a folder below it', 'state', 'state', [['new', 'x']]]
]
for (const [what, at, name, paths] of layouts) {
  test(`a torrent does not get into a state folder inside the data: ${what}`, async (t) => {
    const { bench, data, client } = await withState(t, at)
    const { bytes, seed } = await hostile(bench, name, paths)
    const before = tree(data)
    const reason = what.includes('above') ? { code: 'ERR_STORAGE_PATH' } : refused
    await assert.rejects(client.add(bytes, { peers: [addressOf(seed)] }), reason)
    // The client may have saved the metadata while the torrent was opening.
    const own = path.join(at, `${seed.torrents[0]?.infoHash}.torrent`)
    assert.deepEqual([...tree(data).keys()].filter((file) => file !== own).sort(), [...before.keys()].sort())
    await client.close()
    const session = readFileSync(path.join(data, at, 'client.session'), 'utf8')
    assert.match(session, /^piecewise session 1\n[^\n]*"mac":"[0-9a-f]{64}"\}\n$/)
  })
}

test("a user's link into the state folder is refused, whenever its files are selected", async (t) => {
  const { bench, data, state, client } = await withState(t)
  const { bytes, seed } = await hostile(bench, 'x', [['good'], ['bad']])
  symlinkSync(state, path.join(data, 'x'))
  await assert.rejects(client.add(bytes, { peers: [addressOf(seed)] }), refused)
  const torrent = await client.add(bytes, { select: 'none', peers: [addressOf(seed)] })
  const failed = once(torrent, 'error')
  torrent.select([0])
  assert.equal((await failed)[0].code, 'ERR_STORAGE_PATH')
  assert.ok(!readdirSync(state).includes('good'))
})

test('data and state may share one folder, and torrents do not get our own files', async (t) => {
  const bench = new Bench(t)
  const data = bench.folder()
  const client = bench.client({ path: data, state: data })
  const sample = await bench.sample({ 'pack/client.session': 50_000 })
  const { client: other } = await bench.seeder(sample)
  const torrent = await client.add(sample.bytes, { peers: [addressOf(other)] })
  await torrent.whenDone()
  for (const name of [
    'client.session',
    'client.lock',
    'dht.nodes',
    `${'ab'.repeat(20)}.resume`,
    'CLIENT.SESSION'
  ]) {
    const { bytes } = await hostile(bench, name, [])
    await assert.rejects(client.add(bytes), refused, name)
  }
  const below = bench.client({ path: path.join(data, 'downloads'), state: data, restore: false })
  const again = await below.add(sample.bytes, { peers: [addressOf(other)] })
  await again.whenDone()
})

test("a torrent reaches neither the key nor anything else in the user's state folder", async (t) => {
  const bench = new Bench(t)
  const home = bench.folder()
  const before = process.env['XDG_STATE_HOME']
  process.env['XDG_STATE_HOME'] = path.join(home, 'local')
  t.after(() => {
    process.env['XDG_STATE_HOME'] = before
  })
  const client = bench.client({ path: home })
  for (const [name, paths] of [
    ['local', [['piecewise', 'record.key']]],
    ['local', [['piecewise']]],
    ['local', []]
  ] as const) {
    const { bytes } = await hostile(bench, name, paths)
    await assert.rejects(client.add(bytes), refused)
  }
  assert.deepEqual(readdirSync(home), [])
  mkdirSync(path.join(home, 'local', 'piecewise'), { recursive: true })
  writeFileSync(path.join(home, 'local', 'piecewise', 'x'), 'X'.repeat(1000))
  const { bytes } = await hostile(bench, 'local', [['piecewise', 'x']])
  await assert.rejects(client.add(bytes), refused)
})
