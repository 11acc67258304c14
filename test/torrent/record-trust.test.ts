import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Client } from '../../lib/client/client.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { addressOf, assertSame, Bench, type Sample, serve } from './bench.ts'

/** Records that a torrent with write access beside the data could forge for another torrent. */
const forgeries: readonly (readonly [string, Record<string, unknown>])[] = [
  ['that nothing is wanted', { selection: { priorities: [0], ranges: [] } }],
  ['that everything is here, after a clean stop', { verified: '////' }],
  ['that everything is here, after a crash', { verified: '////', clean: false }],
  ['that nothing is here', { verified: 'AAAA' }]
]

/** Writes an unsigned record, as 0.1.0 did, of a single-file torrent. */
function forge(folder: string, infoHash: string, fields: Record<string, unknown>): void {
  const body = JSON.stringify({
    infoHash,
    clean: true,
    files: [0],
    verified: '',
    partial: [],
    uploaded: 0,
    downloaded: 0,
    secondsActive: 0,
    created: [],
    peers: [],
    trackers: [],
    addedMs: 0,
    ...fields
  })
  const digest = createHash('sha256').update(body).digest('hex')
  mkdirSync(path.join(folder, '.piecewise'), { recursive: true })
  writeFileSync(
    path.join(folder, '.piecewise', `${infoHash}.resume`),
    `piecewise resume 1 ${digest}\n${body}`
  )
}

/** A private sample, its seed, and a folder in which the user has a file of the same name and length. */
async function victim(
  t: TestContext
): Promise<{ bench: Bench; sample: Sample; folder: string; own: string; infoHash: string }> {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'holiday.mp4': 20 * 32768 }, { private: true })
  const folder = bench.folder()
  const own = path.join(folder, 'holiday.mp4')
  writeFileSync(own, new Uint8Array(20 * 32768).fill(117))
  return {
    bench,
    sample,
    folder,
    own,
    infoHash: Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex')
  }
}

for (const [what, fields] of forgeries) {
  test(`an unsigned record beside the data that says ${what} deletes and announces nothing`, async (t) => {
    const { bench, sample, folder, own, infoHash } = await victim(t)
    const heard: string[] = []
    const spy = await serve(bench, (request, response) => {
      heard.push(request.url ?? '')
      response.end('d8:intervali1800e5:peers0:e')
    })
    const { mtimeNs, size } = statSync(own, { bigint: true })
    // Not even a record that knows the file's state, which no torrent can.
    for (const files of [[0], [[Number(size), '5']], [[Number(size), String(mtimeNs)]]]) {
      forge(folder, infoHash, {
        files,
        created: ['holiday.mp4', './'],
        peers: ['127.0.0.1:9'],
        trackers: [`${spy}/announce`],
        ...fields
      })
      const client = bench.client({ path: folder })
      const torrent = await client.add(sample.bytes)
      assert.deepEqual(torrent.trackers, [])
      // A reader hashes everything at the latest.
      const other = await bench.client().add(sample.bytes, { peers: [addressOf(client)] })
      await torrent.recheck()
      assert.equal(torrent.downloaded, 0)
      assert.equal(other.received, 0, 'nothing was served')
      await client.remove(torrent, { deleteFiles: true })
      assert.ok(
        readFileSync(own).every((byte) => byte === 117),
        'the file is as the user left it'
      )
      await client.close()
    }
    assert.deepEqual(heard, [])
  })
}

test('harmless fields of an unsigned record count', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a.bin': 20 * 32768 })
  const infoHash = Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex')
  const { mtimeNs, size } = statSync(path.join(sample.folder, 'a.bin'), { bigint: true })
  forge(sample.folder, infoHash, {
    files: [[Number(size), String(mtimeNs)]],
    verified: '///w',
    uploaded: 5000,
    paused: true,
    trackers: ['http://127.0.0.1:9/announce'],
    selection: { priorities: [3], ranges: [] }
  })
  const client = bench.client({ path: sample.folder })
  const torrent = await client.add(sample.bytes)
  assert.equal(torrent.status, 'paused')
  assert.equal(torrent.uploaded, 5000)
  assert.equal(torrent.files[0]?.priority, 3)
  assert.deepEqual(
    torrent.trackers.map(({ url }) => url),
    ['http://127.0.0.1:9/announce']
  )
  torrent.resume()
  const other = await bench.client().add(sample.bytes, { peers: [addressOf(client)] })
  await other.whenDone()
  assert.equal(torrent.received, 0, 'checked, not fetched')
})

async function run(client: Client, sample: Sample, seed?: Client): Promise<Torrent> {
  const torrent = await client.add(sample.bytes, seed === undefined ? {} : { peers: [addressOf(seed)] })
  await torrent.whenDone()
  return torrent
}

test('a record beside the data that this version wrote is trusted at once, and still deletes its own files', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 100_000, 'pack/b.bin': 100_000 }, { private: true })
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  const first = bench.client({ path: folder })
  const before = await run(first, sample, seed)
  before.addTrackers(['http://127.0.0.1:9/announce'])
  await first.close()
  const second = bench.client({ path: folder })
  const torrent = await second.add(sample.bytes)
  assert.equal(torrent.status, 'seeding')
  assert.ok(torrent.pieces.every(({ state }) => state === 'verified'))
  assert.equal(torrent.trackers.length, 1)
  await second.remove(torrent, { deleteFiles: true })
  assert.deepEqual(readdirSync(folder), [])
})

test('a record of 0.1.0 is checked first, and signed from then on', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a.bin': 20 * 32768 })
  const { client: seed } = await bench.seeder(sample)
  const first = bench.client()
  const before = await run(first, sample, seed)
  await first.close()
  const record = path.join(before.path, '.piecewise', `${before.infoHash}.resume`)
  // Unsigned, as 0.1.0 wrote it.
  const body =
    readFileSync(record, 'utf8')
      .split('\n')[1]
      ?.replace(/,"mac":"[0-9a-f]*"\}$/, '}') ?? ''
  const digest = createHash('sha256').update(body).digest('hex')
  writeFileSync(record, `piecewise resume 1 ${digest}\n${body}`)
  const second = bench.client()
  const proving = await second.add(sample.bytes, { path: before.path })
  assert.equal(proving.received, 0)
  await second.close()
  assert.match(readFileSync(record, 'utf8'), /,"mac":"[0-9a-f]{64}"\}$/)
  const third = await bench.client().add(sample.bytes, { path: before.path })
  assert.ok(third.pieces.every(({ state }) => state === 'verified'))
})

const obstacles: readonly (readonly [string, (at: string, bench: Bench) => void])[] = [
  ['a file', (at) => writeFileSync(at, 'mine')],
  ['a link to a folder', (at, bench) => symlinkSync(bench.folder(), at)],
  ['a link to nowhere', (at) => symlinkSync('/nowhere/at/all', at)]
]
for (const [what, make] of obstacles) {
  test(`${what} named .piecewise keeps no torrent from that folder`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'pack/a.bin': 100_000, 'pack/b.bin': 100_000 })
    const { client: seed } = await bench.seeder(sample)
    const folder = bench.folder()
    const at = path.join(folder, '.piecewise')
    make(at, bench)
    const client = bench.client({ path: folder })
    const warned = once(client, 'warning')
    const torrent = await client.add(sample.bytes, { select: [0], peers: [addressOf(seed)] })
    assert.match(
      String((await warned)[0]),
      /\.piecewise is not a folder, so no resume records are kept there/
    )
    await torrent.whenDone()
    torrent.select([1])
    await torrent.whenDone()
    assertSame(torrent, sample)
    await client.close()
    const again = await run(bench.client({ path: folder }), sample)
    assert.equal(again.received, 0)
    if (what === 'a file') assert.equal(readFileSync(at, 'utf8'), 'mine')
    else if (existsSync(at)) assert.deepEqual(readdirSync(at), [])
  })
}
