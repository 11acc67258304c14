import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Client } from '../../lib/client/client.ts'
import { decodeResume } from '../../lib/storage/resume-record.ts'
import { hasBit } from '../../lib/util/bits.ts'
import { until } from '../support/until.ts'
import { addressOf, assertSame, Bench, bytesOf, type Sample } from './bench.ts'

const refused = { code: 'ERR_STORAGE_EXISTS' }
const pieceLength = 32768

interface Scene {
  readonly bench: Bench
  readonly sample: Sample
  readonly seed: Client
  /** The data folder. */
  readonly folder: string
  at(name: string): string
  put(name: string, bytes: Uint8Array): void
}

async function scene(t: TestContext, files: Record<string, number>): Promise<Scene> {
  const bench = new Bench(t)
  const sample = await bench.sample(files)
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  const at = (name: string): string => path.join(folder, name)
  const put = (name: string, bytes: Uint8Array): void => {
    mkdirSync(path.dirname(at(name)), { recursive: true })
    writeFileSync(at(name), bytes)
  }
  return { bench, sample, seed, folder, at, put }
}

const own = Buffer.from('what the user wrote\n'.repeat(20_000))

const foreignFiles: readonly (readonly [string, number])[] = [
  ['as long as the torrent says', 200_000],
  ['longer', 300_000],
  ['shorter', 100_000],
  ['shorter than a piece', 50],
  ['of one byte', 1]
]
for (const [what, length] of foreignFiles) {
  test(`a user file that is ${what} stops the torrent before anything is fetched`, async (t) => {
    const { bench, sample, seed, folder, at, put } = await scene(t, { 'film.mkv': 200_000 })
    put('film.mkv', own.subarray(0, length))
    const before = statSync(at('film.mkv'), { bigint: true }).mtimeNs
    const torrent = await bench.client({ path: folder }).add(sample.bytes, { peers: [addressOf(seed)] })
    const done = torrent.whenDone()
    const [error] = await once(torrent, 'error')
    await assert.rejects(done, refused)
    assert.equal(error.code, 'ERR_STORAGE_EXISTS')
    assert.match(error.message, /film\.mkv is there already and is not known to belong to the torrent: /)
    assert.equal(torrent.status, 'error')
    assert.equal(torrent.received, 0)
    assert.equal(statSync(at('film.mkv'), { bigint: true }).mtimeNs, before)
    // The file is still there: a second error.
    const again = once(torrent, 'error')
    torrent.resume()
    await again
    renameSync(at('film.mkv'), at('mine'))
    torrent.resume()
    await torrent.whenDone()
    assertSame(torrent, sample)
    assert.ok(readFileSync(at('mine')).equals(own.subarray(0, length)))
  })
}

test('with overwrite the file is replaced, set at once or by a second add', async (t) => {
  for (const atOnce of [true, false]) {
    const { bench, sample, seed, folder, put } = await scene(t, { 'film.mkv': 200_000 })
    put('film.mkv', own)
    const client = bench.client({ path: folder })
    const peers = [addressOf(seed)]
    const torrent = await client.add(sample.bytes, { peers, overwrite: atOnce })
    if (!atOnce) {
      await once(torrent, 'error')
      assert.equal(await client.add(sample.bytes, { overwrite: true }), torrent)
      torrent.resume()
    }
    await torrent.whenDone()
    assert.ok(readFileSync(path.join(folder, 'film.mkv')).subarray(0, 200_000).equals(sample.data))
  }
})

test('an empty file, or one of zeros, does not belong to the user', async (t) => {
  for (const [what, length, fill] of [
    ['empty', 0, 0],
    ['made room for', 200_000, 0],
    ['longer than it should be', 2_500_000, 0],
    ['sparse', 100_000, undefined]
  ] as const) {
    const { bench, sample, seed, folder, at, put } = await scene(t, { 'film.mkv': 200_000 })
    if (fill === undefined) {
      put('film.mkv', new Uint8Array(0))
      truncateSync(at('film.mkv'), length)
    } else put('film.mkv', new Uint8Array(length).fill(fill))
    const torrent = await bench.client({ path: folder }).add(sample.bytes, { peers: [addressOf(seed)] })
    await torrent.whenDone()
    assert.ok(readFileSync(at('film.mkv')).subarray(0, 200_000).equals(sample.data), what)
  }
})

test('one right piece is enough, wherever it is', async (t) => {
  for (const right of [0, 3, 6]) {
    const { bench, sample, seed, folder, put } = await scene(t, { 'film.mkv': 7 * pieceLength - 100 })
    const bytes = Buffer.from(own.subarray(0, sample.data.length))
    const start = right * pieceLength
    bytes.set(sample.data.subarray(start, start + pieceLength), start)
    put('film.mkv', bytes)
    const torrent = await bench.client({ path: folder }).add(sample.bytes, { peers: [addressOf(seed)] })
    await torrent.whenDone()
    assertSame(torrent, sample)
    assert.equal(torrent.received, sample.data.length - (right === 6 ? pieceLength - 100 : pieceLength))
  }
})

test('a small file next to missing files belongs to the torrent if its bytes are right', async (t) => {
  const files = { 'pack/a': 5000, 'pack/b': 6000, 'pack/c': 7000, 'pack/d': 90_000 }
  const { bench, sample, seed, folder, put } = await scene(t, files)
  put('pack/b', bytesOf(sample, 'pack/b'))
  const torrent = await bench.client({ path: folder }).add(sample.bytes, { peers: [addressOf(seed)] })
  await torrent.whenDone()
  assertSame(torrent, sample)
})

test('a small file next to missing files is left unchanged if its bytes differ', async (t) => {
  const files = { 'pack/a': 5000, 'pack/b': 6000, 'pack/c': 7000, 'pack/d': 90_000 }
  const { bench, sample, seed, folder, at, put } = await scene(t, files)
  put('pack/b', own.subarray(0, 6000))
  const torrent = await bench.client({ path: folder }).add(sample.bytes, { peers: [addressOf(seed)] })
  await assert.rejects(torrent.whenDone(), refused)
  assert.ok(readFileSync(at('pack/b')).equals(own.subarray(0, 6000)))
  rmSync(at('pack/b'))
  torrent.resume()
  await torrent.whenDone()
  assertSame(torrent, sample)
})

test('an unselected user file is left alone, and stops the torrent once selected', async (t) => {
  const { bench, sample, seed, folder, at, put } = await scene(t, { 'pack/a': 50_000, 'pack/b': 50_000 })
  put('pack/b', own.subarray(0, 50_000))
  const client = bench.client({ path: folder })
  const torrent = await client.add(sample.bytes, { select: [0], peers: [addressOf(seed)] })
  await torrent.whenDone()
  assert.ok(readFileSync(at('pack/b')).equals(own.subarray(0, 50_000)))
  const failed = once(torrent, 'error')
  torrent.select([1])
  assert.equal((await failed)[0].code, 'ERR_STORAGE_EXISTS')
  assert.ok(readFileSync(at('pack/b')).equals(own.subarray(0, 50_000)))
  // Pieces that are written are not fetched again; the last three are, if they came before the refusal of their write.
  rmSync(at('pack/b'))
  torrent.resume()
  await torrent.whenDone()
  assertSame(torrent, sample)
  assert.ok([100_000, 134_464].includes(torrent.received), `${torrent.received} bytes`)
})

test('deselecting the blocking file lets the others download', async (t) => {
  const { bench, sample, seed, folder, at, put } = await scene(t, { 'pack/a': 50_000, 'pack/b': 50_000 })
  put('pack/b', own.subarray(0, 50_000))
  const torrent = await bench.client({ path: folder }).add(sample.bytes, { peers: [addressOf(seed)] })
  await once(torrent, 'error')
  torrent.deselect([1])
  torrent.resume()
  await torrent.whenDone()
  assert.ok(readFileSync(at('pack/a')).equals(bytesOf(sample, 'pack/a')))
  assert.ok(readFileSync(at('pack/b')).equals(own.subarray(0, 50_000)))
})

test('a file that appears in place of a missing one is left unchanged', async (t) => {
  const { bench, sample, seed, folder, at, put } = await scene(t, { 'pack/a': 50_000, 'pack/b': 50_000 })
  const torrent = await bench.client({ path: folder }).add(sample.bytes)
  put('pack/b', own.subarray(0, 50_000))
  const failed = once(torrent, 'error')
  torrent.addPeer(addressOf(seed))
  assert.equal((await failed)[0].code, 'ERR_STORAGE_EXISTS')
  assert.ok(readFileSync(at('pack/b')).equals(own.subarray(0, 50_000)))
  rmSync(at('pack/b'))
  // Other writes may have hit it as well.
  torrent.on('error', () => torrent.resume())
  const done = new Promise<void>((resolve) => torrent.once('done', resolve))
  torrent.resume()
  await done
  assertSame(torrent, sample)
})

test('a stream of a blocked file fails, and a restart changes nothing', async (t) => {
  const { bench, sample, seed, folder, at, put } = await scene(t, { 'film.mkv': 200_000 })
  put('film.mkv', own)
  for (let run = 0; run < 2; run++) {
    const client = bench.client({ path: folder })
    const torrent = await client.add(sample.bytes, { peers: [addressOf(seed)] })
    await assert.rejects(torrent.files[0]?.arrayBuffer() ?? Promise.resolve(), refused)
    await client.close()
    assert.ok(readFileSync(at('film.mkv')).equals(own))
  }
})

test('the record names the files to be written before the first of them exists', async (t) => {
  const files: Record<string, number> = {}
  for (let n = 0; n < 300; n++) files[`pack/${n}`] = 3000
  const { bench, sample, seed, folder } = await scene(t, files)
  const record = path.join(
    folder,
    '.piecewise',
    `${Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex')}.resume`
  )
  const client = bench.client({ path: folder, downloadLimit: 400_000 })
  const torrent = await client.add(sample.bytes, { peers: [addressOf(seed)] })
  assert.deepEqual(readdirSync(folder), [], 'nothing was written yet')
  const pack = path.join(folder, 'pack')
  await until('the first file', () => existsSync(pack) && readdirSync(pack).length)
  const { clean, owned = new Uint8Array(0) } = decodeResume(readFileSync(record))
  assert.equal(clean, false)
  assert.ok(sample.metainfo.files.every((_, index) => hasBit(owned, index)))
  await torrent.whenDone()
  await client.close()
  assert.equal(decodeResume(readFileSync(record)).clean, true)
})

test('a download that crashed early resumes, although none of its pieces is right', async (t) => {
  const { bench, sample, seed, folder, at, put } = await scene(t, { 'film.mkv': 200_000 })
  const state = bench.folder()
  const options = { path: folder, state, restore: false }
  const first = bench.client({ ...options, downloadLimit: 100_000 })
  const torrent = await first.add(sample.bytes, { peers: [addressOf(seed)] })
  await until('the file', () => existsSync(at('film.mkv')))
  const record = path.join(state, `${torrent.infoHash}.resume`)
  const crashed = readFileSync(record)
  await first.close()
  // The state after the crash: the record of the first write, and part of that write.
  writeFileSync(record, crashed)
  put('film.mkv', sample.data.subarray(0, 10_000))
  const second = await bench.client(options).add(sample.bytes, { peers: [addressOf(seed)] })
  await second.whenDone()
  assertSame(second, sample)
})
