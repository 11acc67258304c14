import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Client } from '../../lib/client/client.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { addressOf, assertSame, Bench } from './bench.ts'
import { Relay } from './relay.ts'

test('a piece travels from one downloader to the next', async (t) => {
  const bench = new Bench(t)
  // Small pieces, so that a passed-on piece is never a whole page of the cache.
  const sample = await bench.sample({ 'film.mkv': 600_000 }, { pieceLength: 16384 })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const middle = bench.client({ downloadLimit: 50_000 })
  const last = bench.client()
  const near = await middle.add(sample.bytes, { peers: [addressOf(seed)] })
  const far = await last.add(sample.bytes, { peers: [addressOf(middle)] })
  await once(far, 'verified')
  assert.equal(near.done, false, 'it passes on pieces before it is complete')
  middle.downloadLimit = Number.POSITIVE_INFINITY
  await Promise.all([near.whenDone(), far.whenDone()])
  assert.equal(near.uploaded, 600_000)
  assert.equal(source.uploaded, 600_000)
})

test('downloaders with different pieces trade them', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({
    'pack/a.bin': 32768 * 20,
    'pack/b.bin': 32768 * 20,
    'pack/c.bin': 32768 * 20
  })
  const { client: seed } = await bench.seeder(sample)
  const clients = [bench.client(), bench.client(), bench.client()]
  const torrents: Torrent[] = []
  for (const [index, client] of clients.entries()) {
    const torrent = await client.add(sample.bytes, { select: [index], peers: [addressOf(seed)] })
    await torrent.whenDone()
    torrents.push(torrent)
  }
  await seed.close()
  for (const torrent of torrents) {
    torrent.select([0, 1, 2])
    for (const client of clients) torrent.addPeer(addressOf(client))
  }
  await Promise.all(torrents.map((torrent) => torrent.whenDone()))
  for (const torrent of torrents) {
    assert.ok(torrent.uploaded > 0, 'each has uploaded')
    assertSame(torrent, sample)
  }
})

test('broken connections do not break the data', async (t) => {
  const bench = new Bench(t)
  const samples = await Promise.all(
    [32768, 65536, 262144].map((pieceLength, n) =>
      bench.sample({ [`pack${n}/one.bin`]: 900_000, [`pack${n}/two.bin`]: 333_333 }, { pieceLength })
    )
  )
  const clients: Client[] = []
  const relays: Relay[] = []
  const torrents: { torrent: Torrent; index: number }[] = []
  for (let n = 0; n < 5; n++) {
    const client = bench.client({ downloadLimit: n === 0 ? Number.POSITIVE_INFINITY : 4_000_000 })
    clients.push(client)
    if (n === 0) {
      for (const { root, metainfo } of samples)
        await client.seed(root, { pieceLength: metainfo.pieceLength, creationDate: false })
    } else {
      for (const [index, sample] of samples.entries())
        torrents.push({ torrent: await client.add(sample.bytes), index })
    }
    relays.push(await Relay.start(bench, client.port))
  }
  const join = (): void => {
    for (const { torrent } of torrents) {
      if (torrent.done) continue
      for (const { address } of relays) torrent.addPeer(address)
    }
  }
  join()
  const chaos = setInterval(() => {
    for (const relay of relays) relay.cut(0.3)
    join()
  }, 50)
  bench.after(() => clearInterval(chaos))
  await Promise.all(torrents.map(({ torrent }) => torrent.whenDone()))
  clearInterval(chaos)
  await Promise.all(clients.map((client) => client.close()))
  assert.ok(relays.some(({ cuts }) => cuts > 0))
  for (const { torrent, index } of torrents) {
    const sample = samples[index]
    if (sample !== undefined) assertSame(torrent, sample)
  }
})
