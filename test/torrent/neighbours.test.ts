import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { ConnectionBudget } from '../../lib/discovery/connection-budget.ts'
import type { Connection } from '../../lib/net/connection.ts'
import { Swarm } from '../../lib/torrent/swarm.ts'
import { Wire } from '../../lib/wire/wire.ts'
import { addressOf, assertSame, Bench } from './bench.ts'

const nearby = { lsd: true }

test('clients find each other in the local network, with nothing but the info hash', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 200_000 })
  const { client: seed, torrent: source } = await bench.seeder(sample, nearby)
  const torrent = await bench.client(nearby).add(source.infoHash)
  const [first] = torrent.peers
  if (first?.incoming === false) assert.deepEqual([first.source, first.address], ['lsd', addressOf(seed)])
  await torrent.whenDone()
  assertSame(torrent, sample)
})

test('private torrents are not announced to neighbours', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 }, { private: true })
  const open = await bench.sample({ 'other.mkv': 50_000 })
  const seed = bench.client(nearby)
  await seed.seed(sample.root, { pieceLength: 32768, creationDate: false, private: true })
  await seed.seed(open.root, { pieceLength: 32768, creationDate: false })
  const client = bench.client(nearby)
  const torrent = await client.add(sample.bytes)
  // Once the other torrent is complete the announce that would have named this one has passed.
  await (await client.add(open.bytes)).whenDone()
  assert.equal(torrent.peers.length, 0)
})

test('a newcomer with a higher priority takes the place of an idle peer', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const infoHash = new Uint8Array(20).fill(1)
  const priorities: Record<string, number> = {
    '9.0.0.1': 5,
    '9.0.0.2': 3,
    '9.0.0.3': 9,
    '9.0.0.4': 1,
    '9.0.0.5': 9
  }
  const gone: string[] = []
  const swarm = new Swarm({
    infoHash,
    peerId: new Uint8Array(20),
    book: new AddressBook({ random: Math.random }),
    budget: new ConnectionBudget({ maxConnections: 2 }),
    own: { priority: ({ host }) => priorities[host] ?? 0 },
    dial: () => Promise.reject(new Error('nobody is dialled')),
    allows: () => true,
    wireOptions: () => ({}),
    onPeer: () => {},
    onGone: (peer) => gone.push(peer.connection.remote.host),
    onTick: () => {}
  })
  t.after(() => swarm.close())
  const arrive = async (host: string, id: number): Promise<boolean> => {
    const [near, far] = [new Wire(), new Wire()]
    near.pipe(far).pipe(near)
    far.handshake(infoHash, new Uint8Array(20).fill(id))
    await once(near, 'handshake')
    const connection = { remote: { host, port: 1 }, incoming: true } as unknown as Connection
    swarm.accept(connection, near, new Uint8Array(20).fill(id))
    t.after(() => far.destroy())
    return !near.destroying
  }
  assert.ok(await arrive('9.0.0.1', 1))
  assert.ok(await arrive('9.0.0.2', 2))
  assert.equal(await arrive('9.0.0.3', 3), false, 'they have only just come')
  now = 40_000
  assert.equal(await arrive('9.0.0.4', 4), false, 'it counts less')
  assert.equal(await arrive('9.0.0.5', 1), false, 'it is here already')
  assert.deepEqual(gone, [])
  assert.equal(await arrive('9.0.0.3', 3), true)
  assert.deepEqual(gone, ['9.0.0.2'])
  assert.equal(swarm.dialer.connections, 2)
  assert.equal(await arrive('9.0.0.5', 5), true)
  assert.deepEqual(gone, ['9.0.0.2', '9.0.0.1'])
  assert.equal(swarm.dialer.connections, 2)
})

test('one network does not take all places, and is banned as a whole', async (t) => {
  const infoHash = new Uint8Array(20).fill(1)
  const swarm = new Swarm({
    infoHash,
    peerId: new Uint8Array(20),
    book: new AddressBook({ random: Math.random }),
    budget: new ConnectionBudget(),
    own: { priority: () => 0 },
    dial: () => Promise.reject(new Error('nobody is dialled')),
    allows: () => true,
    wireOptions: () => ({}),
    onPeer: () => {},
    onGone: () => {},
    onTick: () => {}
  })
  t.after(() => swarm.close())
  let id = 0
  const arrivals = async (hosts: readonly string[]): Promise<number> => {
    let count = 0
    for (const host of hosts) {
      const [near, far] = [new Wire(), new Wire()]
      near.pipe(far).pipe(near)
      t.after(() => far.destroy())
      const peerId = new Uint8Array(20).fill(++id)
      far.handshake(infoHash, peerId)
      await once(near, 'handshake')
      swarm.accept({ remote: { host, port: 1 }, incoming: true } as unknown as Connection, near, peerId)
      if (!near.destroying) count++
    }
    return count
  }
  const twenty = Array.from({ length: 20 }, (_, n) => n)
  assert.equal(await arrivals(twenty.map(() => '9.0.0.1')), 16)
  assert.equal(await arrivals(twenty.map((n) => `2001:db8:0:1::${n + 1}`)), 16)
  assert.equal(await arrivals(['9.0.0.2', '2001:db8:0:2::1']), 2)
  assert.equal(await arrivals(twenty.map(() => '192.168.1.7')), 20)
  const [villain] = [...swarm.peers.values()].filter(({ network }) => network === '2001:db8:0:1::')
  swarm.ban(villain?.banKey ?? '')
  const staying = [...swarm.peers.values()].filter(({ wire }) => !wire.destroying)
  assert.equal(staying.length, 16 + 2 + 20, 'a ban is for all of it')
  assert.equal(await arrivals(['2001:db8:0:1::99']), 0)
})
