import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { ConnectionBudget } from '../../lib/discovery/connection-budget.ts'
import { limits } from '../../lib/discovery/limits.ts'
import type { PeerSource } from '../../lib/discovery/peer-source.ts'
import type { Connection } from '../../lib/net/connection.ts'
import type { PeerManagerOptions } from '../../lib/swarm/peer-manager.ts'
import { Arrivals } from '../torrent/arrivals.ts'
import { FakeConnection, handshakeOf, settled, twenty } from './fake-connection.ts'

const host = '203.0.113.5'

/** Returns the id of the peer with this number. */
function idOf(number: number): Uint8Array {
  const id = new Uint8Array(20)
  new DataView(id.buffer).setUint32(16, number)
  return id
}

/** The clock never goes back between tests: the cost of hosts is counted per process. */
let startMs = 0

/** A torrent that also dials. The peer of each dial answers with the id of the last call of `dial`. */
function swarmOf(t: TestContext, options: Partial<PeerManagerOptions> = {}) {
  startMs += 1_000_000
  const bench = { now: startMs, answer: twenty(0), dialled: [] as FakeConnection[] }
  t.mock.method(performance, 'now', () => bench.now)
  const book = new AddressBook({ random: Math.random })
  const arrivals = new Arrivals(t, {
    book,
    dial: async (address): Promise<Connection> => {
      const connection = new FakeConnection(false, address.host)
      bench.dialled.push(connection)
      setImmediate(() => connection.feed(handshakeOf(twenty(1), bench.answer)))
      return connection
    },
    ...options
  })
  const dial = async (to: string, id: Uint8Array, source: PeerSource = 'tracker'): Promise<boolean> => {
    bench.answer = id
    book.add({ host: to, port: 6881 }, source, bench.now)
    arrivals.manager.dial()
    while (arrivals.manager.dialer.halfOpen > 0) await settled()
    await settled()
    return bench.dialled.at(-1)?.closed === undefined
  }
  return { bench, book, arrivals, dial }
}

for (const [what, ownId, from, laterMs, replaces] of [
  ['we have the higher id', twenty(0xff), host, 0, true],
  ['the peer has the higher id', twenty(0), host, 0, false],
  ['another host has the same id', twenty(0xff), '203.0.113.6', 0, false],
  ['the peer has been connected for longer', twenty(0xff), host, 10_001, false]
] as const) {
  test(`crossed dials of two peers leave one connection: ${what}`, async (t) => {
    const { bench, arrivals, dial } = swarmOf(t, { peerId: ownId })
    assert.equal(await arrivals.arrive(host, { id: 7 }), true)
    bench.now += laterMs
    assert.equal(await dial(from, idOf(7)), replaces)
    assert.deepEqual(
      arrivals.here.map(({ connection }) => connection.incoming),
      [!replaces]
    )
    assert.deepEqual(arrivals.gone, replaces ? [host] : [])
  })
}

test('a connected peer is not connected a second time by its own dial', async (t) => {
  const { arrivals, dial } = swarmOf(t, { peerId: twenty(0xff) })
  assert.equal(await dial(host, idOf(7)), true)
  assert.equal(await arrivals.arrive(host, { id: 7 }), false)
  assert.equal(await arrivals.arrive(host, { id: 8 }), true)
  assert.equal(await arrivals.arrive(host, { id: 8 }), false)
  assert.equal(arrivals.here.length, 2)
})

test('one host has a limited number of connections to a torrent, in either direction', async (t) => {
  const { arrivals, dial } = swarmOf(t)
  for (let id = 1; id < limits.peersPerHost; id++) assert.equal(await arrivals.arrive(host, { id }), true)
  assert.equal(await dial(host, idOf(100)), true)
  assert.equal(await arrivals.arrive(host, { id: 101 }), false)
  assert.equal(await arrivals.arrive('203.0.113.6', { id: 102 }), true)
})

test('a peer whose source became forbidden during its handshake is disconnected', async (t) => {
  let isPrivate = false
  const { arrivals, dial, bench } = swarmOf(t, {
    allows: (source) => !isPrivate || source === 'tracker',
    wireOptions: () => {
      // Just before our handshake is sent.
      isPrivate = true
      return {}
    }
  })
  assert.equal(await dial(host, idOf(1), 'pex'), false)
  assert.equal(bench.dialled.length, 1)
  assert.equal(await dial('203.0.113.6', idOf(2), 'tracker'), true)
  assert.equal(arrivals.here.length, 1)
})

test('a refused peer is closed with the reason', async (t) => {
  const { arrivals } = swarmOf(t)
  for (let id = 1; id <= limits.peersPerHost; id++) await arrivals.arrive(host, { id })
  await arrivals.arrive(host, { id: 1 })
  await arrivals.arrive(host, { id: 99 })
  arrivals.manager.ban('198.51.100.1')
  await arrivals.arrive('198.51.100.1', { id: 100 })
  await settled()
  const { arrivals: full } = swarmOf(t, { budget: new ConnectionBudget({ maxConnections: 1 }) })
  await full.arrive(host, { id: 1 })
  await full.arrive('198.51.100.1', { id: 2 })
  await settled()
  assert.deepEqual(
    [...arrivals.reasons, ...full.reasons],
    [
      'the peer is already connected',
      `${limits.peersPerHost} peers of its host are already connected`,
      'its host is banned',
      'there is no room for this peer'
    ]
  )
})

test('a banned host is disconnected, neither dialled nor accepted again, and evicts no peer', async (t) => {
  const own = { priority: (address: { host: string }) => (address.host === host ? 9 : 1) }
  const { bench, book, arrivals, dial } = swarmOf(t, {
    budget: new ConnectionBudget({ maxConnections: 2 }),
    own
  })
  assert.equal(await arrivals.arrive(host, { id: 1 }), true)
  assert.equal(await arrivals.arrive('198.51.100.1', { id: 2 }), true)
  arrivals.manager.ban(host)
  await settled()
  assert.deepEqual(arrivals.gone, [host])
  assert.equal(await arrivals.arrive('198.51.100.2', { id: 3 }), true)
  bench.now += 60_000
  assert.equal(await arrivals.arrive(host, { id: 4 }), false)
  assert.equal(arrivals.here.length, 2, 'no peer is evicted for it')
  arrivals.manager.disconnect(() => true)
  await settled()
  assert.equal(await arrivals.arrive(host, { id: 5 }), false, 'though there is room')
  assert.equal(await dial(host, idOf(6)).then(() => bench.dialled.length), 0)
  assert.equal(book.isBanned({ host, port: 1 }), true)
})

test('a host banned after it has left is not accepted again', async (t) => {
  const { arrivals } = swarmOf(t)
  assert.equal(await arrivals.arrive(host, { id: 1 }), true)
  arrivals.here[0]?.wire.destroy()
  await settled()
  arrivals.manager.ban(host)
  assert.equal(await arrivals.arrive(host, { id: 2 }), false)
})

for (const [what, silentMs, keepsAlive, isHere] of [
  ['a minute', 60_000, 0, true],
  ['101 seconds', 101_000, 1, true],
  ['131 seconds', 131_000, 0, false]
] as const) {
  test(`a peer that is silent for ${what} is ${isHere ? 'kept' : 'disconnected'}, and gets ${keepsAlive} keep-alives`, async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { bench, arrivals, dial } = swarmOf(t)
    assert.equal(await dial(host, idOf(1)), true)
    t.mock.timers.tick(1000)
    const [connection] = bench.dialled
    const sent = connection?.sent.length ?? 0
    bench.now += silentMs
    t.mock.timers.tick(1000)
    await settled()
    assert.equal(arrivals.here.length, Number(isHere))
    assert.equal((connection?.sent.length ?? 0) - sent, 4 * keepsAlive)
  })
}
