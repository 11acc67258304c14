import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ConnectionBudget } from '../../lib/discovery/connection-budget.ts'
import { limits } from '../../lib/discovery/limits.ts'
import { Arrivals } from '../torrent/arrivals.ts'

const places = 60
const share = places / 4
/** Peers that each are alone in their network. */
const others = Array.from({ length: 2 * places }, (_, n) => `${20 + n}.7.8.9`)

/** Makes the torrents of one client. */
function client(t: TestContext, torrents: number): { all: Arrivals[]; budget: ConnectionBudget } {
  const budget = new ConnectionBudget({ maxConnections: places })
  return { all: Array.from({ length: torrents }, () => new Arrivals(t, { budget })), budget }
}

/**
 * Connects peers of one network until all connections are taken, over all torrents. Returns how many torrents
 * accepted one.
 */
async function fill(all: readonly Arrivals[], hostOf: (n: number) => string): Promise<number> {
  let taken = 0
  for (let n = 0; n < 2 * places; n++) if (await all[n % all.length]?.arrive(hostOf(n))) taken++
  return taken
}

function here(all: readonly Arrivals[]): string[] {
  return all.flatMap((one) => one.here.map(({ connection }) => connection.remote.host))
}

for (const [kind, torrents, hostOf] of [
  ['/24', 1, (n: number) => `203.0.113.${n}`],
  ['/24', 5, (n: number) => `203.0.113.${n}`],
  ['local /24', 1, (n: number) => `192.168.1.${n}`],
  ['local /24', 5, (n: number) => `10.0.0.${n}`],
  ['/48', 5, (n: number) => `2001:db8:1:${n.toString(16)}::1`],
  ['local /48', 1, (n: number) => `fd00::${n.toString(16)}:1`],
  ['host', 5, () => '203.0.113.7']
] as const) {
  test(`a ${kind} fills free connections of ${torrents} torrents, and loses them to peers of other networks`, async (t) => {
    const { all, budget } = client(t, torrents)
    assert.equal(await fill(all, hostOf), places)
    const [first] = all
    const free = places - share
    assert.equal(await first?.arriveAll(others.slice(0, free)), free)
    assert.equal(await first?.arriveAll(others.slice(free)), 0, 'its share is reserved')
    assert.equal(budget.connections, places)
    assert.equal(here(all).filter((host) => !others.includes(host)).length, share)
  })
}

test('a /48 takes sixteen connections of a torrent, free or not', async (t) => {
  const { all } = client(t, 1)
  assert.equal(await fill(all, (n) => `2001:db8:1:${n.toString(16)}::1`), 16)
})

test('peers on this machine fill all connections and keep them', async (t) => {
  const { all } = client(t, 2)
  assert.equal(await fill(all, (n) => `127.0.0.${n + 1}`), places)
  assert.equal(await all[0]?.arriveAll(others), 0)
})

test('a network at its share evicts only peers of its own', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const budget = new ConnectionBudget({ maxConnections: places })
  const priority = ({ host }: { host: string }): number => {
    const [first, , , last] = host.split('.').map(Number)
    return first === 203 ? 1000 + (last ?? 0) : (first ?? 0)
  }
  const arrivals = new Arrivals(t, { budget, own: { priority } })
  const crowd = Array.from({ length: share }, (_, n) => `203.0.113.${n}`)
  assert.equal(await arrivals.arriveAll([...others.slice(0, places - share), ...crowd]), places)
  now = 60_000
  assert.equal(await arrivals.arrive('203.0.113.200'), true)
  assert.deepEqual(arrivals.gone, ['203.0.113.0'])
  assert.equal(await arrivals.arrive('198.51.100.10'), true)
  assert.deepEqual(
    arrivals.gone,
    ['203.0.113.0', others[0]],
    'a network below its share may evict any other peer'
  )
})

test('a peer that is silent after its handshake is evicted for any other', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const priorities: Record<string, number> = { '20.7.8.9': 2, '21.7.8.9': 9, '22.7.8.9': 1 }
  const arrivals = new Arrivals(t, {
    budget: new ConnectionBudget({ maxConnections: 2 }),
    own: { priority: ({ host }) => priorities[host] ?? 0 }
  })
  assert.equal(await arrivals.arrive('20.7.8.9'), true)
  assert.equal(await arrivals.arrive('21.7.8.9', { isMute: true }), true)
  now = 60_000
  assert.equal(await arrivals.arrive('22.7.8.9'), true)
  assert.deepEqual(arrivals.gone, ['21.7.8.9'])
})

test('a dial evicts from a network that has all connections, and failed dials do not empty it', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const budget = new ConnectionBudget({ maxConnections: places })
  const dialled: string[] = []
  const full = new Arrivals(t, { budget })
  const waiting = new Arrivals(t, {
    budget,
    dial: ({ host }) => {
      dialled.push(host)
      return new Promise(() => {})
    }
  })
  for (const host of others) waiting.book.add({ host, port: 1 }, 'tracker', 0)
  const local = { host: '203.0.113.99', port: 1 }
  assert.equal(await fill([full], (n) => `203.0.113.${n}`), places)
  now = 1000
  waiting.manager.dial()
  assert.equal(dialled.length, limits.crowdedDials)
  assert.deepEqual(
    dialled.filter((host) => !others.includes(host)),
    []
  )
  assert.ok(full.here.length >= places - 2 * limits.crowdedDials)
  now = 2000
  const alike = new Arrivals(t, {
    budget: new ConnectionBudget({ maxConnections: places }),
    dial: () => assert.fail('a peer of the network that has all connections is dialled')
  })
  assert.equal(await fill([alike], (n) => `203.0.113.${n}`), places)
  alike.book.add(local, 'tracker', now)
  alike.manager.dial()
  assert.deepEqual(alike.gone, [])
})

test('torrents that wait for a connection dial once a network exceeds its share', async (t) => {
  const budget = new ConnectionBudget({ maxConnections: 8 })
  let told = 0
  const [full, mixed] = [new Arrivals(t, { budget }), new Arrivals(t, { budget })]
  await mixed.arriveAll(others.slice(0, 5))
  await full.arriveAll(['203.0.113.1', '203.0.113.2'])
  budget.onRelease(() => told++)
  assert.deepEqual([budget.mayDial, told], [true, 0])
  await full.arrive('203.0.113.3')
  assert.deepEqual([budget.hasRoom, budget.mayDial, told], [false, true, 1])
})
