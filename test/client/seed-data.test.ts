import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { SeedData } from '../../lib/client/seed-data.ts'
import { addressOf, Bench } from '../torrent/bench.ts'

const bytes = randomBytes(300_000)

const sources: Record<string, () => SeedData> = {
  'a Buffer': () => bytes,
  'an ArrayBuffer': () => new Uint8Array(bytes).buffer,
  'a Blob': () => new Blob([bytes]),
  'a Readable': () => Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)]),
  'a web stream': () => new Blob([bytes]).stream(),
  'a generator': async function* () {
    yield bytes
  }
}

for (const [kind, source] of Object.entries(sources)) {
  test(`${kind} is written to a file and seeded`, async (t) => {
    const bench = new Bench(t)
    const folder = bench.folder()
    const client = bench.client({ path: folder })
    const torrent = await client.seed(source(), { name: 'data.bin' })
    assert.equal(torrent.name, 'data.bin')
    assert.deepEqual(readdirSync(folder), ['data.bin'])
    assert.deepEqual(readFileSync(path.join(folder, 'data.bin')), bytes)
    const other = await bench.client().add(torrent.magnetURI, { peers: [addressOf(client)] })
    assert.ok(Buffer.from((await other.files[0]?.arrayBuffer()) as ArrayBuffer).equals(bytes))
  })
}

test('the same bytes are seeded again from the existing file, and others are refused', async (t) => {
  const bench = new Bench(t)
  const folder = bench.folder()
  const first = await bench.client().seed(bytes, { name: 'data.bin', path: folder })
  const again = await bench.client().seed(Readable.from([bytes]), { name: 'data.bin', path: folder })
  assert.equal(again.infoHash, first.infoHash)
  const other = Buffer.from(bytes)
  other[299_999] = (other[299_999] ?? 0) ^ 1
  for (const wrong of [other, bytes.subarray(1)]) {
    await assert.rejects(bench.client().seed(wrong, { name: 'data.bin', path: folder }), {
      code: 'ERR_METAINFO_CREATE',
      message: /data\.bin' cannot be written: a file of this name exists with other content/
    })
  }
  assert.deepEqual(readdirSync(folder), ['data.bin'])
  assert.deepEqual(readFileSync(path.join(folder, 'data.bin')), bytes)
})

test('a stream that fails, an abort and a bad name leave nothing behind', async (t) => {
  const bench = new Bench(t)
  const folder = bench.folder()
  const client = bench.client({ path: folder })
  const torn = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes
    throw new Error('the line broke')
  }
  await assert.rejects(client.seed(torn(), { name: 'a' }), {
    code: 'ERR_METAINFO_CREATE',
    message: /the line broke/
  })
  const stop = new AbortController()
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes
    stop.abort()
    yield bytes
    await new Promise(() => {})
  }
  await assert.rejects(client.seed(endless(), { name: 'a', signal: stop.signal }), { name: 'AbortError' })
  await assert.rejects(client.seed(bytes), { code: 'ERR_METAINFO_CREATE', message: /name.*need a name/ })
  await assert.rejects(client.seed(bytes, { name: '../a' }), {
    code: 'ERR_METAINFO_CREATE',
    message: /not a safe file name/
  })
  await assert.rejects(client.seed(new Uint8Array(0), { name: 'empty' }), { code: 'ERR_METAINFO_CREATE' })
  assert.deepEqual(
    readdirSync(folder).filter((name) => name !== 'empty'),
    []
  )
})

test('without a folder, data goes to a new private one; paths take none', async (t) => {
  const bench = new Bench(t)
  const client = bench.client({ path: undefined })
  const torrent = await client.seed(bytes, { name: 'data.bin' })
  bench.after(() => rmSync(torrent.path, { recursive: true }))
  assert.deepEqual(readFileSync(torrent.files[0]?.diskPath ?? ''), bytes)
  const file = path.join(bench.folder(), 'a.bin')
  writeFileSync(file, bytes)
  await assert.rejects(client.seed(file, { path: bench.folder() }), {
    code: 'ERR_CLIENT_OPTION',
    message: /path: files are seeded from where they are/
  })
})

test('two seeds of one name at a time keep one, and the other is refused', async (t) => {
  const bench = new Bench(t)
  const folder = bench.folder()
  const client = bench.client({ path: folder })
  const contents = [Buffer.alloc(100_000, 1), Buffer.alloc(100_000, 2)]
  const results = await Promise.allSettled(contents.map((data) => client.seed(data, { name: 'data.bin' })))
  const kept = contents[results.findIndex(({ status }) => status === 'fulfilled')]
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.deepEqual(readFileSync(path.join(folder, 'data.bin')), kept)
  assert.deepEqual(readdirSync(folder), ['data.bin'])
})

test('a stream that yields what is no bytes rejects, and nothing is left', async (t) => {
  const bench = new Bench(t)
  const folder = bench.folder()
  const client = bench.client({ path: folder })
  for (const wrong of [1, {}, undefined, null]) {
    const data = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes
      yield wrong as unknown as Uint8Array
    }
    await assert.rejects(client.seed(data(), { name: 'a' }), { code: 'ERR_METAINFO_CREATE' })
  }
  assert.deepEqual(readdirSync(folder), [])
})

test('no file stays open after the same bytes are seeded again', {
  skip: process.platform !== 'linux'
}, async (t) => {
  const bench = new Bench(t)
  const folder = bench.folder()
  for (let round = 0; round < 3; round++) await bench.client().seed(bytes, { name: 'data.bin', path: folder })
  const open = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return []
    }
  })
  assert.deepEqual(
    open.filter((file) => file.includes('.piecewise-new')),
    []
  )
})
