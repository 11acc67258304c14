import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { until } from '../support/until.ts'
import { addressOf, Bench } from '../torrent/bench.ts'
import { dial, EvilPeer } from '../torrent/evil-peer.ts'

const mib = 1 << 20

test('a download limit slows, stops and releases transfers', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 2 * mib })
  const { client: seed } = await bench.seeder(sample)
  const took = async (downloadLimit: number): Promise<number> => {
    const client = bench.client({ downloadLimit })
    assert.equal(client.downloadLimit, downloadLimit)
    const torrent = await client.add(sample.bytes, { peers: [addressOf(seed)] })
    const began = performance.now()
    await torrent.whenDone()
    await client.close()
    return performance.now() - began
  }
  await took(Number.POSITIVE_INFINITY)
  // A busy machine may fall behind, but never gets ahead.
  const bytesPerSecond = (sample.data.length * 1000) / (await took(2 * mib))
  assert.ok(bytesPerSecond < 2.5 * mib, `${bytesPerSecond} bytes per second`)
})

test('a limit of 0 stops all transfer until it is lifted, in both directions', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 2 * mib })
  for (const side of ['downloadLimit', 'uploadLimit'] as const) {
    const { client: seed, torrent: source } = await bench.seeder(sample)
    const client = bench.client()
    const stopped = side === 'downloadLimit' ? client : seed
    const torrent = await client.add(sample.bytes, { peers: [addressOf(seed)] })
    await once(torrent, 'verified')
    stopped[side] = 0
    assert.equal(stopped[side], 0)
    // Data in the system's socket buffers may still arrive while another torrent downloads.
    const other = bench.client()
    const { client: second } = await bench.seeder(sample)
    await (await other.add(sample.bytes, { peers: [addressOf(second)] })).whenDone()
    const { received } = torrent
    await (await bench.client().add(sample.bytes, { peers: [addressOf(second)] })).whenDone()
    assert.equal(torrent.received, received, side)
    assert.equal(torrent.done, false, side)
    stopped[side] = Number.POSITIVE_INFINITY
    await torrent.whenDone()
    assert.equal(source.uploaded >= sample.data.length, true)
  }
})

test('a seed that starts with an upload limit of 0 serves once it is lifted', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const { client: seed } = await bench.seeder(sample, { uploadLimit: 0 })
  const torrent = await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })
  assert.equal(torrent.done, false)
  seed.uploadLimit = 10 * mib
  await torrent.whenDone()
})

test('torrents share a limit', async (t) => {
  const bench = new Bench(t)
  const samples = await Promise.all([1, 2].map((n) => bench.sample({ [`film${n}.mkv`]: mib })))
  // They begin together, however long the second one takes to prepare.
  const client = bench.client({ downloadLimit: 0 })
  const torrents = []
  for (const sample of samples) {
    const { client: seed } = await bench.seeder(sample)
    const torrent = await client.add(sample.bytes)
    torrents.push(torrent)
    const met = once(torrent, 'peer')
    torrent.addPeer(addressOf(seed))
    await met
  }
  client.downloadLimit = 2 * mib
  await Promise.race(torrents.map((torrent) => torrent.whenDone()))
  // While one was fetched, the other had its share.
  for (const torrent of torrents) assert.ok(torrent.progress > 0.3, `${torrent.progress}`)
  await Promise.all(torrents.map((torrent) => torrent.whenDone()))
})

test('a low upload limit serves few peers at a time, and a free slot is given to the next', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  const { client: seed, torrent } = await bench.seeder(sample, { uploadLimit: 8192 })
  const served: EvilPeer[] = []
  const unchoked = new EventEmitter()
  const peers = [1, 2, 3].map(() => {
    const peer = new EvilPeer(dial(bench, seed.port), sample, {
      mute: true,
      onWire: ({ wire }) => wire.interested()
    })
    peer.wire.once('unchoke', () => {
      served.push(peer)
      unchoked.emit('one')
    })
    return peer
  })
  await until('two uploads', () => served.length, { is: (value) => value >= 2 })
  await until(
    'three interested peers',
    () => torrent.peers.filter(({ peerInterested }) => peerInterested).length,
    { is: (value) => value >= 3 }
  )
  assert.equal(torrent.peers.filter(({ amChoking }) => !amChoking).length, 2)
  served[0]?.socket.destroy()
  await until('a third upload', () => served.length, { is: (value) => value >= 3 })
  assert.deepEqual(new Set(served), new Set(peers))
})
