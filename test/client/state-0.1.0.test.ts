import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Client } from '../../lib/client/client.ts'
import { loadDhtState } from '../../lib/client/dht-state.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import {
  type FixtureTorrent,
  fixtureNames,
  openFixture,
  type StateFixture,
  sampleOf
} from '../support/state-fixture.ts'
import { assertSame, Bench } from '../torrent/bench.ts'
import { listenAs } from '../torrent/evil-peer.ts'

const version = '0.1.0'
const names = fixtureNames(version)

/** Codes of warnings about unreadable data of an earlier run. */
const distrust = ['ERR_STORAGE_RESUME', 'ERR_CLIENT_STATE']

/** Starts a client over a folder of 0.1.0, and asserts that it gives none of these warnings. */
function clientOf(bench: Bench, { state }: StateFixture): Client {
  const client = bench.client(state === undefined ? {} : { state })
  const warnings: Error[] = []
  client.on('warning', (warning) => warnings.push(warning))
  bench.after(() => {
    const bad = warnings.filter((error) => error instanceof TorrentError && distrust.includes(error.code))
    assert.deepEqual(bad, [])
  })
  return client
}

/** Returns the torrents of a fixture: those of a state folder are restored, the others are added again. */
async function reopen(
  client: Client,
  { state, torrents }: StateFixture
): Promise<[Torrent, FixtureTorrent][]> {
  const added = state === undefined ? torrents : []
  for (const { bytes, magnet, path } of added) await client.add(magnet ?? bytes, { path })
  await client.restored()
  return torrents.map((entry) => {
    const torrent = client.get(entry.infoHash)
    assert.ok(torrent !== undefined, `${entry.name} is there`)
    return [torrent, entry]
  })
}

for (const name of names) {
  test(`${name}: verified pieces are not fetched again, and all completes`, {
    timeout: 30_000
  }, async (t) => {
    const bench = new Bench(t)
    const fixture = openFixture(bench, version, name)
    const client = clientOf(bench, fixture)
    for (const [torrent, entry] of await reopen(client, fixture)) {
      const sample = sampleOf(bench, entry)
      torrent.resume()
      torrent.addPeer((await listenAs(bench, sample)).address)
      await torrent.whenDone()
      torrent.select([...torrent.files.keys()])
      await torrent.whenDone()
      assert.equal(torrent.received, torrent.length - entry.keptLength)
      assert.equal(torrent.path, entry.path)
      assertSame(torrent, sample)
    }
  })

  test(`${name}: trackers and counters are restored`, { timeout: 30_000 }, async (t) => {
    const bench = new Bench(t)
    const fixture = openFixture(bench, version, name)
    for (const [torrent, entry] of await reopen(clientOf(bench, fixture), fixture)) {
      const urls = torrent.trackers.map(({ url }) => url)
      // A record beside the data is untrusted.
      const mayAdd = fixture.state !== undefined || entry.private !== true
      assert.deepEqual(urls, mayAdd ? entry.trackers : entry.trackers.slice(0, 1))
      assert.equal(torrent.uploaded, entry.uploaded ?? 0)
      if (entry.private === true) assert.equal(torrent.private, true)
    }
  })
}

/** Cases with a state folder and a clean stop: a file, and an offset in one of its verified pieces. */
const believed = [
  { name: 'clean', file: 'data/partial/b.bin', offset: 100 },
  { name: 'clean', file: 'data/whole.bin', offset: 0 },
  { name: 'paused', file: 'data/partial/b.bin', offset: 30_000 },
  { name: 'parts', file: 'data/parts/c.bin', offset: 39_999 },
  { name: 'seeded', file: 'source/show/sub/b.bin', offset: 5 },
  { name: 'pads', file: 'data/pads/c.bin', offset: 99 },
  { name: 'magnet-fetched', file: 'data/partial/sub/c.bin', offset: 0 },
  { name: 'dht', file: 'data/whole.bin', offset: 59_999 }
]

for (const { name, file, offset } of believed) {
  test(`${name}: ${file} is served at once, without a check`, { timeout: 30_000 }, async (t) => {
    const bench = new Bench(t)
    // A check would find this byte.
    const fixture = openFixture(bench, version, name, { file, offset })
    const client = clientOf(bench, fixture)
    let restored = false
    const opening = client.restored().then(() => {
      restored = true
    })
    while (!restored) {
      assert.ok(client.torrents.every(({ status }) => status !== 'checking'))
      await turn()
    }
    await opening
    for (const [torrent, entry] of await reopen(client, fixture)) {
      assert.equal(torrent.downloaded, entry.verifiedLength, entry.name)
      assert.ok(torrent.pieces.every(({ state }) => state !== 'checking'))
      const found = torrent.files.find(
        (one) => path.join(torrent.path, one.path) === path.join(fixture.folder, file)
      )
      if (found === undefined) continue
      torrent.resume()
      const chunks: Uint8Array[] = []
      for await (const chunk of found.createReadStream({ start: offset, end: offset })) chunks.push(chunk)
      assert.deepEqual([...Buffer.concat(chunks)], [readFileSync(path.join(fixture.folder, file))[offset]])
    }
  })
}

/**
 * Cases that were killed, or whose record is beside the data: a file, and an offset in one of its verified
 * pieces.
 */
const doubted = [
  { name: 'killed', file: 'data/partial/a.bin', offset: 0 },
  { name: 'killed', file: 'data/partial/sub/c.bin', offset: 79_999 },
  { name: 'parts-killed', file: 'data/parts/a.bin', offset: 19_999 },
  { name: 'beside-killed', file: 'data/partial/a.bin', offset: 0 },
  { name: 'beside', file: 'data/partial/a.bin', offset: 40_000 },
  { name: 'beside-private', file: 'data/private.bin', offset: 0 },
  { name: 'beside-magnet', file: 'data/partial/b.bin', offset: 60_000 }
]

for (const { name, file, offset } of doubted) {
  test(`${name}: ${file} is checked before it is used, and only a bad piece is fetched again`, {
    timeout: 30_000
  }, async (t) => {
    const bench = new Bench(t)
    const fixture = openFixture(bench, version, name, { file, offset })
    for (const [torrent, entry] of await reopen(clientOf(bench, fixture), fixture)) {
      const sample = sampleOf(bench, entry)
      torrent.addPeer((await listenAs(bench, sample)).address)
      const found = torrent.files.find(
        (one) => path.join(torrent.path, one.path) === path.join(fixture.folder, file)
      )
      const expected = readFileSync(path.join(sample.folder, found?.path ?? ''))
      const bytes = await found?.arrayBuffer()
      assert.ok(bytes !== undefined && expected.equals(Buffer.from(bytes)))
      torrent.select([...torrent.files.keys()])
      await torrent.whenDone()
      const piece = Math.floor(((found?.offset ?? 0) + offset) / torrent.pieceLength)
      const spoilt = Math.min(torrent.pieceLength, torrent.length - piece * torrent.pieceLength)
      assert.equal(torrent.received, torrent.length - entry.keptLength + spoilt)
      assertSame(torrent, sample)
    }
  })
}

test('a paused torrent stays paused', async (t) => {
  const bench = new Bench(t)
  const fixture = openFixture(bench, version, 'paused')
  for (const [torrent] of await reopen(clientOf(bench, fixture), fixture))
    assert.equal(torrent.status, 'paused')
})

test('limits and goals of a torrent are kept', async (t) => {
  const bench = new Bench(t)
  const fixture = openFixture(bench, version, 'clean')
  const [whole, partial] = (await reopen(clientOf(bench, fixture), fixture)).map(([torrent]) => torrent)
  assert.ok(whole !== undefined && partial !== undefined)
  assert.deepEqual([whole.uploadLimit, whole.seedRatio], [3e6, 100])
  assert.deepEqual(
    [partial.downloadLimit, partial.seedRatio, partial.seedTime],
    [5e6, Number.POSITIVE_INFINITY, 3_600_000]
  )
})

test('only the selected file is on disk, and the bytes next to it are in the parts file', async (t) => {
  const bench = new Bench(t)
  const fixture = openFixture(bench, version, 'parts')
  for (const [torrent] of await reopen(clientOf(bench, fixture), fixture)) {
    assert.equal(torrent.status, 'seeding')
    assert.deepEqual(
      torrent.files.map(({ selected }) => selected),
      [true, false, true, true]
    )
    assert.equal(existsSync(path.join(torrent.path, 'parts/b.bin')), false)
  }
})

test('a seeded torrent is seeded again without hashing', async (t) => {
  const bench = new Bench(t)
  const fixture = openFixture(bench, version, 'seeded', { file: 'source/show/a.bin', offset: 7 })
  const client = clientOf(bench, fixture)
  const torrent = await client.seed(path.join(fixture.folder, 'source/show'), {
    pieceLength: 32768,
    creationDate: false,
    trackers: ['http://127.0.0.1:9/own/announce']
  })
  assert.deepEqual(
    client.torrents.map(({ infoHash }) => infoHash),
    fixture.torrents.map(({ infoHash }) => infoHash)
  )
  assert.equal(torrent.status, 'seeding')
})

test('a magnet link waits for its metadata under its name', async (t) => {
  const bench = new Bench(t)
  const fixture = openFixture(bench, version, 'magnet')
  for (const [torrent] of await reopen(clientOf(bench, fixture), fixture)) {
    assert.deepEqual([torrent.status, torrent.name], ['metadata', 'film'])
  }
})

test('the ids and nodes of the DHT are read', async (t) => {
  const bench = new Bench(t)
  const { state = '' } = openFixture(bench, version, 'dht')
  const { id, nodes } = (await loadDhtState(state, (warning) => assert.fail(warning))) ?? {}
  assert.deepEqual([id?.length, nodes?.length], [20, 26])
})

test('data that 0.1.0 wrote is removed with its torrent, as far as a record of the state folder names it', async (t) => {
  const bench = new Bench(t)
  for (const name of ['clean', 'killed', 'parts', 'pads']) {
    const fixture = openFixture(bench, version, name)
    const client = clientOf(bench, fixture)
    for (const [torrent] of await reopen(client, fixture)) await client.remove(torrent, { deleteFiles: true })
    const data = path.join(fixture.folder, 'data')
    assert.deepEqual(existsSync(data) ? readdirSync(data) : [], [], name)
  }
  for (const [name, file] of [
    ['seeded', 'source/show/a.bin'],
    ['beside', 'data/partial/a.bin'],
    ['beside-killed', 'data/partial/a.bin']
  ] as const) {
    const fixture = openFixture(bench, version, name)
    const client = clientOf(bench, fixture)
    for (const [torrent] of await reopen(client, fixture)) await client.remove(torrent, { deleteFiles: true })
    assert.equal(existsSync(path.join(fixture.folder, file)), true, `${name}: what may be the user's stays`)
  }
})
