import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { Discovery } from '../../lib/discovery/discovery.ts'
import type { Peer } from '../../lib/swarm/peer.ts'
import { PeerExchange } from '../../lib/swarm/peer-exchange.ts'
import { PexExtension, type PexMessage, pexFlags } from '../../lib/wire/ut-pex.ts'
import { Wire } from '../../lib/wire/wire.ts'
import { turns } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { addressOf, assertSame, Bench } from '../torrent/bench.ts'
import { type EvilPeer, listenAs } from '../torrent/evil-peer.ts'

test('a magnet link completes though only a third peer knows the seed', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 300_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample, { pex: true })
  // The middle peer knows the seed, has no piece and wants none.
  const middle = bench.client({ pex: true })
  const between = await middle.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
  await until('the seed to be connected', () => between.peers.length)
  const client = bench.client({ pex: true })
  const met: (readonly [address: string, source: string])[] = []
  client.on('torrent', (added) => added.on('peer', ({ address, source: from }) => met.push([address, from])))
  const torrent = await client.add(source.magnetURI, { peers: [addressOf(middle)] })
  await torrent.whenDone()
  assertSame(torrent, sample)
  // The seed has heard of the leecher as well, and may have dialled first.
  const others = met.filter(([address]) => address !== addressOf(middle))
  assert.ok(others.length > 0)
  for (const [address, from] of others)
    if (from !== 'incoming') assert.deepEqual([address, from], [addressOf(seed), 'pex'])
})

test('a waiting peer is told of a seed that comes later', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample, { pex: true })
  const middle = bench.client({ pex: true })
  const between = await middle.add(sample.bytes, { select: 'none' })
  const client = bench.client({ pex: true })
  const torrent = await client.add(source.magnetURI, { peers: [addressOf(middle)] })
  between.addPeer(addressOf(seed))
  await torrent.whenDone()
})

for (const side of ['middle', 'leecher'] as const) {
  test(`nothing is exchanged when the ${side} refuses`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 50_000 })
    const { client: seed } = await bench.seeder(sample, { pex: true })
    const middle = bench.client({ pex: side !== 'middle' })
    const between = await middle.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
    await until('the seed to be connected', () => between.peers.length)
    const client = bench.client({ pex: side !== 'leecher' })
    const torrent = await client.add(sample.bytes, { peers: [addressOf(middle)] })
    // Each side sends its peers in answer to the other's extended handshake.
    await until('the extended handshake of the middle', () => torrent.peers[0]?.client)
    await until(
      'that of the leecher',
      () => between.peers.every(({ client: name }) => name) && between.peers.length,
      {
        is: 2
      }
    )
    await turns()
    assert.deepEqual(
      torrent.peers.map(({ source }) => source),
      ['manual']
    )
  })
}

/** Attaches the extension to a new wire, and collects its messages. */
function withPex(heard: PexMessage[] = []): {
  heard: PexMessage[]
  extensions: PexExtension[]
  onWire: (peer: EvilPeer) => void
} {
  const extensions: PexExtension[] = []
  return {
    heard,
    extensions,
    onWire: ({ wire }) => {
      extensions.push(wire.use(new PexExtension(wire, { onPeers: (message) => void heard.push(message) })))
      // Again, now that the extension is attached.
      wire.extendedHandshake({ metadataSize: undefined })
    }
  }
}

test('private torrents do not announce the extension, also when they turn out private late', async (t) => {
  for (const late of [false, true]) {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 50_000 }, { private: true })
    const announced: (number | undefined)[] = []
    const peer = await listenAs(bench, sample, {
      mute: true,
      onWire: ({ wire }) =>
        wire.on('extended-handshake', ({ extensions }) => announced.push(extensions.get('ut_pex')))
    })
    const source = late ? Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex') : sample.bytes
    await bench.client({ pex: true }).add(source, { peers: [peer.address] })
    await until('the extended handshakes', () => announced.length, { is: (value) => value >= (late ? 2 : 1) })
    assert.equal(announced.at(-1) ?? 0, 0)
    if (!late) assert.equal(announced[0], undefined)
    else assert.notEqual(announced[0] ?? 0, 0)
  }
})

test('a peer is told of others with their flags', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const listener = withPex()
  const one = await listenAs(bench, sample, { mute: true, onWire: listener.onWire })
  const two = await listenAs(bench, sample)
  const client = bench.client({ pex: true })
  const torrent = await client.add(sample.bytes, { select: 'none', peers: [two.address] })
  await until('the seed', () => torrent.peers[0]?.progress, { is: 1 })
  torrent.addPeer(one.address)
  await until('a message', () => listener.heard.length)
  const [host = '', port = ''] = two.address.split(':')
  assert.deepEqual(listener.heard[0]?.added, [
    { address: { host, port: Number(port) }, flags: pexFlags.uploadOnly | pexFlags.reachable }
  ])
  assert.deepEqual(listener.heard[0]?.dropped, [])
})

test('a peer that floods us with addresses is disconnected', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const listener = withPex()
  const flood = await listenAs(bench, sample, { mute: true, onWire: listener.onWire })
  const client = bench.client({ pex: true })
  const torrent = await client.add(sample.bytes, { select: 'none', peers: [flood.address] })
  await until('the extended handshake', () => listener.extensions[0]?.supported, { is: true })
  const [extension] = listener.extensions
  const added = [{ address: { host: '127.0.0.1', port: 1 }, flags: 0 }]
  for (let n = 0; n < 5; n++) extension?.send({ added, dropped: [] })
  flood.peers[0]?.wire.interested()
  await until('the message after these', () => torrent.peers[0]?.peerInterested)
  for (let n = 0; n < 20; n++) extension?.send({ added, dropped: [] })
  await until('the flood to be closed', () => torrent.peers.length, { is: 0 })
})

test('flags of an address from several peers are joined in the hints of its candidate', async (t) => {
  const book = new AddressBook({ random: () => 0 })
  const discovery = new Discovery({ book, now: () => 0, onPeers: () => {}, onWarning: () => {} })
  const exchange = new PeerExchange(discovery, () => false)
  for (const [id, flags] of [
    [1, pexFlags.utp],
    [2, pexFlags.reachable | 0x80]
  ] as const) {
    const [ours, theirs] = [new Wire(), new Wire()]
    t.after(() => ours.destroy())
    ours.pipe(theirs).pipe(ours)
    const met = Promise.all([once(ours, 'handshake'), once(theirs, 'handshake')])
    for (const wire of [ours, theirs]) wire.handshake(new Uint8Array(20), new Uint8Array(20).fill(id))
    await met
    const connection = { remote: { host: `8.0.0.${id}`, port: 6881 }, incoming: true }
    exchange.addPeer({ id, wire: ours, connection } as unknown as Peer)
    const extension = theirs.use(new PexExtension(theirs))
    for (const wire of [ours, theirs]) wire.extendedHandshake({})
    await until('the extension', () => extension.supported)
    extension.send({ added: [{ address: { host: '8.0.1.1', port: 1 }, flags }], dropped: [] })
    await until('the hint', () => book.next(0)?.hints[id === 1 ? 'utp' : 'reachable'])
  }
  assert.deepEqual(book.next(0), {
    address: { host: '8.0.1.1', port: 1 },
    source: 'pex',
    failures: 0,
    hints: { encryption: false, uploadOnly: false, utp: true, holepunch: false, reachable: true },
    variants: [{ transport: 'tcp', encryption: 'plain' }]
  })
})
