import assert from 'node:assert/strict'
import test from 'node:test'
import { PexPolicy } from '../../lib/discovery/pex.ts'
import { formatAddress, parseAddress } from '../../lib/util/address.ts'
import { type PexMessage, type PexPeer, pexFlags } from '../../lib/wire/ut-pex.ts'
import { fc } from '../support/fast-check.ts'

const minute = 60_000

/** A policy with connected peers `8.0.x.y:1`, numbered from 1, all of which support the extension. */
function policy(count: number, flags = 0): PexPolicy {
  const it = new PexPolicy()
  for (let id = 1; id <= count; id++) add(it, id, flags)
  return it
}

function add(it: PexPolicy, id: number, flags = 0, now = 0): void {
  it.join(id, hostOf(id), now)
  it.contact(id, { host: hostOf(id), port: 1 }, () => flags)
}

function hostOf(id: number): string {
  return `8.0.${id >> 8}.${id & 255}`
}

function told(message: PexMessage | undefined): { added: string[]; dropped: string[] } {
  return {
    added: (message?.added ?? []).map(({ address }) => address.host),
    dropped: (message?.dropped ?? []).map(({ host }) => host)
  }
}

test('the first message names all others, later ones the changes, a minute apart', () => {
  const it = policy(3)
  assert.deepEqual(told(it.next(1, 0)), { added: [hostOf(2), hostOf(3)], dropped: [] })
  assert.equal(it.next(1, 10 * minute), undefined, 'nothing is new')
  add(it, 4)
  it.leave(2, false)
  assert.deepEqual(told(it.next(1, minute)), { added: [hostOf(4)], dropped: [hostOf(2)] })
  add(it, 5)
  assert.equal(it.next(1, 2 * minute - 1), undefined)
  assert.deepEqual(told(it.next(1, 2 * minute)), { added: [hostOf(5)], dropped: [] })
  assert.equal(it.next(9, 0), undefined, 'an unknown peer')
})

test('a peer that comes and goes, or goes and comes, between two messages is left out', () => {
  const it = policy(3)
  it.next(1, 0)
  add(it, 4)
  it.leave(4, false)
  it.leave(2, false)
  add(it, 2)
  assert.equal(it.next(1, minute), undefined)
  // Also when it is another connection.
  it.leave(3, false)
  it.join(7, hostOf(3), 0)
  it.contact(7, parseAddress(`${hostOf(3)}:1`), () => 0)
  assert.equal(it.next(1, minute), undefined)
})

test('a peer is not told of itself, also under another port, nor of unreachable peers', () => {
  const it = policy(1)
  it.contact(2, parseAddress(`${hostOf(1)}:1`), () => 0)
  it.contact(3, parseAddress('[::ffff:8.0.0.1]:1'), () => 0)
  it.contact(4, { host: 'example.org', port: 1 }, () => 0)
  it.contact(5, { host: 'fe80::1%eth0', port: 1 }, () => 0)
  assert.equal(it.next(1, 0), undefined)
})

for (const [recipient, hosts] of [
  ['8.0.0.1', ['9.9.9.9']],
  ['10.0.0.1', ['10.0.0.9', '9.9.9.9']],
  ['127.0.0.1', ['127.0.0.9', '10.0.0.9', '9.9.9.9']]
] as const) {
  test(`${recipient} is told only of peers that it can reach`, () => {
    const it = new PexPolicy()
    it.join(1, recipient, 0)
    ;['127.0.0.9', '10.0.0.9', '9.9.9.9'].forEach((host, n) => {
      it.contact(10 + n, { host, port: 1 }, () => 0)
    })
    assert.deepEqual(told(it.next(1, 0)).added, [...hosts])
  })
}

test('messages keep to their size, and nothing is lost', () => {
  const it = policy(400)
  const first = it.next(1, 0)
  assert.equal(first?.added.length, 100)
  const second = it.next(1, minute)
  assert.equal(second?.added.length, 50)
  for (let id = 2; id <= 400; id++) it.leave(id, false)
  const gone: string[] = []
  for (let n = 2; n <= 4; n++) {
    const message = it.next(1, n * minute)
    assert.equal(message?.dropped.length, 50)
    gone.push(...told(message).dropped)
  }
  assert.deepEqual(gone.sort(), [...told(first).added, ...told(second).added].sort())
  assert.equal(it.next(1, 9 * minute), undefined)
})

test('reachable peers come first, and seeds are not told of seeds', () => {
  const it = policy(1)
  for (let id = 2; id <= 150; id++) add(it, id, id > 100 ? pexFlags.reachable : 0)
  const { added } = it.next(1, 0) ?? { added: [] }
  assert.equal(added.filter(({ flags }) => flags === pexFlags.reachable).length, 50)
  const seeds = policy(3, pexFlags.uploadOnly)
  add(seeds, 4)
  assert.deepEqual(told(seeds.next(1, 0)).added, [hostOf(4)])
  assert.deepEqual(told(seeds.next(4, 0)).added, [1, 2, 3].map(hostOf))
})

test('with few peers, those disconnected without fault are named too, once, and then dropped', () => {
  const it = policy(30)
  for (let id = 3; id <= 30; id++) it.leave(id, id > 4)
  const { added } = told(it.next(1, 0))
  assert.equal(added.length, 26, 'one connected peer, and 25 that were')
  assert.ok(!added.includes(hostOf(3)) && !added.includes(hostOf(5)) && added.includes(hostOf(6)))
  const later = told(it.next(1, minute))
  assert.deepEqual(later.added, [])
  assert.equal(later.dropped.length, 25)
  assert.equal(it.next(1, 2 * minute), undefined)
  const many = policy(60)
  for (let id = 41; id <= 60; id++) many.leave(id, true)
  assert.equal(many.next(1, 0)?.added.length, 39)
})

test('addresses from peers are validated', () => {
  const peers = (...list: string[]): PexPeer[] =>
    list.map((text) => ({ address: parseAddress(text), flags: text.endsWith(':2') ? 2 : 0 }))
  const hear = (it: PexPolicy, added: PexPeer[], complete = false): string[] => {
    const heard = it.hear(1, { added, dropped: [] }, 0, complete)
    return heard === 'flood' ? ['flood'] : heard.map(({ address }) => formatAddress(address))
  }
  const list = peers(
    '9.9.9.9:1',
    '9.9.9.9:3',
    '10.0.0.1:1',
    '127.0.0.1:22',
    '0.0.0.0:1',
    '9.9.9.8:2',
    '[::1]:1'
  )
  assert.deepEqual(hear(policy(1), list), ['9.9.9.9:1', '9.9.9.8:2'])
  assert.deepEqual(hear(policy(1), list, true), ['9.9.9.9:1'])
  assert.deepEqual(hear(new PexPolicy(), list), [])
  const [first = '', second = '', ...others] = ['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'].map(
    (host) => `[${host}]:1`
  )
  assert.deepEqual(hear(policy(1), peers(first, second, ...others)), [first, ...others], 'a /64 is one host')
  const local = new PexPolicy()
  local.join(1, '127.0.0.1', 0)
  assert.deepEqual(hear(local, peers('127.0.0.1:5', '127.0.0.1:6', '10.0.0.1:1')), [
    '127.0.0.1:5',
    '127.0.0.1:6',
    '10.0.0.1:1'
  ])
  const near = new PexPolicy()
  near.join(1, 'fd00::1', 0)
  const neighbours = ['[fd00::2]:1', '[fd00::3]:1']
  assert.deepEqual(hear(near, peers(...neighbours)), neighbours)
})

test('a peer may send 200 addresses first and 100 later, five times at once and then twice a minute', () => {
  const it = policy(1)
  const added = Array.from({ length: 500 }, (_, n) => ({
    address: { host: `9.9.${n >> 8}.${n & 255}`, port: 1 },
    flags: 0
  }))
  const hear = (now: number): number | string => {
    const heard = it.hear(1, { added, dropped: [] }, now, false)
    return heard === 'flood' ? heard : heard.length
  }
  assert.deepEqual([0, 0, 0, 0, 0, 0].map(hear), [200, 100, 100, 100, 100, 0])
  assert.equal(hear(minute / 2), 100)
  // Once a minute for hours is allowed to every peer.
  for (let n = 2; n < 200; n++) assert.equal(hear(n * minute), 100)
  const now = 200 * minute
  assert.equal(Array.from({ length: 30 }, () => hear(now)).at(-1), 'flood')
})

test('in any sequence of calls, a listener soon knows exactly who is connected', () => {
  const step = fc.record({
    id: fc.integer({ min: 2, max: 160 }),
    welcome: fc.boolean(),
    waitMs: fc.nat(minute)
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const it = policy(1)
      const here = new Set<string>()
      const known = new Set<string>()
      let now = 0
      let before = Number.NEGATIVE_INFINITY
      const talk = (): void => {
        const message = it.next(1, now)
        if (message === undefined) return
        assert.ok(now - before >= minute)
        assert.ok(message.added.length <= (before < 0 ? 100 : 50) && message.dropped.length <= 50)
        assert.ok(message.added.length + message.dropped.length > 0)
        before = now
        const { added, dropped } = told(message)
        for (const host of dropped) assert.ok(known.delete(host), 'dropped a peer that was never added')
        for (const host of added) {
          assert.ok(!known.has(host) && !dropped.includes(host), 'added twice')
          known.add(host)
        }
      }
      for (const { id, welcome, waitMs } of steps) {
        if (here.delete(hostOf(id))) it.leave(id, welcome)
        else {
          here.add(hostOf(id))
          add(it, id)
        }
        now += waitMs
        talk()
      }
      for (let n = 0; n < 12; n++) {
        now += minute
        talk()
      }
      assert.deepEqual([...known].sort(), [...here].sort())
    }),
    { numRuns: 60 }
  )
})
