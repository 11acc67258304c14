import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionBudget } from '../../lib/discovery/connection-budget.ts'
import { Arrivals } from './arrivals.ts'
import { addressOf, assertSame, Bench } from './bench.ts'

const nearby = { lsd: true }

test('clients find each other in the local network by the info hash alone', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 200_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample, nearby)
  const client = bench.client(nearby)
  const met: (readonly [address: string, source: string])[] = []
  client.on('torrent', (added) => added.on('peer', ({ address, source: from }) => met.push([address, from])))
  const torrent = await client.add(source.infoHash)
  await torrent.whenDone()
  assert.ok(met.length > 0)
  for (const [address, from] of met)
    if (from !== 'incoming') assert.deepEqual([address, from], [addressOf(seed), 'lsd'])
  assertSame(torrent, sample)
})

test('private torrents are not announced to the local network', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 }, { private: true })
  const open = await bench.sample({ 'other.mkv': 50_000 })
  const seed = bench.client(nearby)
  await seed.seed(sample.root, { pieceLength: 32768, creationDate: false, private: true })
  await seed.seed(open.root, { pieceLength: 32768, creationDate: false })
  const client = bench.client(nearby)
  const torrent = await client.add(sample.bytes)
  // Once the other torrent is complete, the announce that would have named this one is over.
  await (await client.add(open.bytes)).whenDone()
  assert.equal(torrent.peers.length, 0)
})

test('a new peer with a higher priority evicts an idle peer', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const priorities: Record<string, number> = {
    '9.0.0.1': 5,
    '9.0.0.2': 3,
    '9.0.0.3': 9,
    '9.0.0.4': 1,
    '9.0.0.5': 9
  }
  const arrivals = new Arrivals(t, {
    budget: new ConnectionBudget({ maxConnections: 2 }),
    own: { priority: ({ host }) => priorities[host] ?? 0 }
  })
  const { manager, gone } = arrivals
  assert.ok(await arrivals.arrive('9.0.0.1', { id: 1001 }))
  assert.ok(await arrivals.arrive('9.0.0.2'))
  assert.equal(await arrivals.arrive('9.0.0.3'), false, 'they have only just come')
  now = 40_000
  assert.equal(await arrivals.arrive('9.0.0.4'), false, 'it counts less')
  assert.equal(await arrivals.arrive('9.0.0.5', { id: 1001 }), false, 'it is here already')
  assert.deepEqual(gone, [])
  assert.equal(await arrivals.arrive('9.0.0.3'), true)
  assert.deepEqual(gone, ['9.0.0.2'])
  assert.equal(manager.dialer.connections, 2)
  assert.equal(await arrivals.arrive('9.0.0.5'), true)
  assert.deepEqual(gone, ['9.0.0.2', '9.0.0.1'])
  assert.equal(manager.dialer.connections, 2)
})

test('no peer is evicted for a banned host', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const arrivals = new Arrivals(t, {
    budget: new ConnectionBudget({ maxConnections: 1 }),
    own: { priority: ({ host }) => (host === '9.0.0.1' ? 1 : 9) }
  })
  arrivals.manager.ban('9.0.0.2')
  assert.ok(await arrivals.arrive('9.0.0.1'))
  now = 40_000
  assert.equal(await arrivals.arrive('9.0.0.2'), false)
  assert.deepEqual(arrivals.gone, [])
  assert.equal(await arrivals.arrive('9.0.0.3'), true)
  assert.deepEqual(arrivals.gone, ['9.0.0.1'])
})

test('one address holder cannot take all connections, and a host is banned as a whole', async (t) => {
  const arrivals = new Arrivals(t)
  const twenty = Array.from({ length: 20 }, (_, n) => n)
  assert.equal(await arrivals.arriveAll(twenty.map(() => '9.0.0.1')), 16)
  assert.equal(await arrivals.arriveAll(twenty.map((n) => `2001:db8:0:${n >> 2}::${n + 1}`)), 16)
  assert.equal(await arrivals.arriveAll(['9.0.0.2', '2001:db8:5:2::1']), 2)
  assert.equal(await arrivals.arriveAll(twenty.map(() => '192.168.1.7')), 20)
  arrivals.manager.ban('2001:db8:0:1::')
  assert.equal(arrivals.here.length, 16 + 12 + 2 + 20, 'a ban is for all of a /64')
  assert.equal(await arrivals.arrive('2001:db8:0:1::99'), false)
  assert.equal(await arrivals.arrive('2001:db8:0:2::99'), true)
})
