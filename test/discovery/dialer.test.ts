import assert from 'node:assert/strict'
import test from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { ConnectionBudget } from '../../lib/discovery/connection-budget.ts'
import { Dialer, type DialerOptions } from '../../lib/discovery/dialer.ts'
import { type PeerAddress, parseAddress } from '../../lib/util/address.ts'
import { fc } from '../support/fast-check.ts'

function bookOf(count: number, net = 8): AddressBook {
  const book = new AddressBook({ random: () => 0 })
  for (let n = 0; n < count; n++) book.add({ host: `${net}.0.${n >> 8}.${n & 255}`, port: 1 }, 'tracker', 0)
  return book
}

function dialerOf(count: number, options: Partial<DialerOptions> = {}): Dialer {
  return new Dialer({ book: bookOf(count), ...options })
}

/** Dials as often as it may at this time. */
function dialAll(dialer: Dialer, now: number): PeerAddress[] {
  const list: PeerAddress[] = []
  for (let next = dialer.nextDial(now); next !== undefined; next = dialer.nextDial(now))
    list.push(next.address)
  return list
}

test('dials are limited in number, and a free slot is used', () => {
  const dialer = dialerOf(20, { maxHalfOpen: 3 })
  const [first, second] = dialAll(dialer, 0)
  assert.ok(first && second)
  assert.equal(dialer.halfOpen, 3)
  assert.equal(dialer.wakeAt(0), Number.POSITIVE_INFINITY)
  dialer.failed(first, 0)
  dialer.failed(first, 0)
  dialer.connected(second)
  dialer.connected(second)
  assert.equal(dialer.halfOpen, 1)
  assert.equal(dialer.connections, 1)
  assert.equal(dialer.wakeAt(0), 0)
  assert.equal(dialAll(dialer, 0).length, 2)
})

test('dials keep to their rate', () => {
  const dialer = dialerOf(100, { budget: new ConnectionBudget({ dialsPerSecond: 10 }), maxHalfOpen: 100 })
  assert.equal(dialAll(dialer, 1000).length, 10)
  const wakeAt = dialer.wakeAt(1000)
  assert.equal(wakeAt, 1100)
  assert.equal(dialAll(dialer, 1099).length, 0)
  assert.equal(dialAll(dialer, wakeAt).length, 1)
  assert.equal(dialAll(dialer, 1600).length, 5)
  assert.equal(dialAll(dialer, 100_000).length, 10, 'at most one second is saved up')
})

test('a further variant of a dial counts against the rate, and takes no slot', () => {
  const budget = new ConnectionBudget({ dialsPerSecond: 10 })
  const dialer = dialerOf(100, { budget, maxHalfOpen: 100 })
  const candidate = dialer.nextDial(1000)
  assert.ok(candidate)
  for (let n = 0; n < 5; n++) dialer.retried(candidate, 1000)
  assert.equal(dialer.halfOpen, 1)
  assert.equal(budget.halfOpen, 1)
  assert.equal(dialAll(dialer, 1000).length, 4)
  dialer.failed(candidate.address, 1000)
  dialer.retried(candidate, 1100)
  assert.equal(dialAll(dialer, 1100).length, 1, 'a finished dial has no further variants')
})

test('a rate of 0 dials no peer', () => {
  const dialer = dialerOf(1, { budget: new ConnectionBudget({ dialsPerSecond: 0 }) })
  assert.equal(dialer.nextDial(0), undefined)
  assert.equal(dialer.wakeAt(0), Number.POSITIVE_INFINITY)
})

test('the last connections are reserved for incoming peers', () => {
  const dialer = dialerOf(50, { maxConnections: 20 })
  assert.equal(dialAll(dialer, 0).length, 18)
  const guest = parseAddress('9.9.9.9:5')
  const leave = dialer.accept(guest)
  assert.ok(leave)
  assert.ok(dialer.accept(guest))
  assert.equal(dialer.accept(guest), undefined)
  leave()
  leave()
  assert.equal(dialer.connections, 1)
  assert.ok(dialer.accept(guest))
})

test('a banned host is not accepted', () => {
  const book = bookOf(0)
  const dialer = new Dialer({ book })
  book.ban(parseAddress('9.9.9.9:1'))
  assert.equal(dialer.accept(parseAddress('9.9.9.9:2')), undefined)
  assert.ok(dialer.accept(parseAddress('9.9.9.8:2')))
})

test('without an address it wakes when the book does', () => {
  const dialer = dialerOf(1)
  assert.equal(dialer.wakeAt(7), 7)
  const [peer] = dialAll(dialer, 7)
  assert.ok(peer)
  assert.equal(dialer.wakeAt(7), Number.POSITIVE_INFINITY)
  dialer.connected(peer)
  dialer.disconnected(peer, 100, 'useful')
  dialer.disconnected(peer, 100, 'useful')
  assert.equal(dialer.wakeAt(100), 5100)
  assert.equal(dialer.connections, 0)
})

test('torrents share a budget, and each is told when another releases a connection', () => {
  const budget = new ConnectionBudget({ maxConnections: 4, maxHalfOpen: 3 })
  const one = new Dialer({ book: bookOf(9, 8), budget })
  const two = new Dialer({ book: bookOf(9, 9), budget })
  assert.equal(dialAll(one, 0).length, 3)
  assert.equal(two.wakeAt(0), Number.POSITIVE_INFINITY)
  let told = 0
  budget.onRelease(() => {
    told++
    assert.equal(two.wakeAt(0), 0)
  })
  budget.onRelease(() => assert.fail('listener was removed'))()
  one.close()
  one.close()
  assert.equal(told, 1)
  assert.equal(one.nextDial(0), undefined)
  assert.equal(one.accept(parseAddress('9.9.9.9:1')), undefined)
  const [first] = dialAll(two, 0)
  assert.ok(first)
  two.connected(first)
  dialAll(two, 0)
  assert.deepEqual([budget.connections, budget.halfOpen], [1, 3])
  assert.equal(two.accept(parseAddress('9.9.9.9:1')), undefined, 'full')
  two.close()
  assert.deepEqual([budget.connections, budget.halfOpen], [0, 0])
})

test('in any sequence of calls, limits hold, the budget agrees with its dialers, and wakeAt is true', () => {
  const step = fc.record({
    kind: fc.constantFrom('dial', 'connect', 'fail', 'leave', 'accept', 'bye'),
    which: fc.nat(1),
    pick: fc.nat(20),
    waitMs: fc.nat(300)
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
      const budget = new ConnectionBudget({ maxConnections: 12, maxHalfOpen: 5, dialsPerSecond: 7 })
      const dialers = [8, 9].map(
        (net) => new Dialer({ book: bookOf(30, net), budget, maxConnections: 8, maxHalfOpen: 4 })
      )
      const dialled: PeerAddress[][] = [[], []]
      const guests: (() => void)[] = []
      let now = 0
      for (const { kind, which, pick, waitMs } of steps) {
        now += waitMs
        const dialer = dialers[which]
        const list = dialled[which]
        assert.ok(dialer && list)
        const peer = list[pick % Math.max(1, list.length)]
        if (kind === 'dial') {
          const due = dialer.wakeAt(now)
          const next = dialer.nextDial(now)
          assert.equal(next !== undefined, due <= now)
          if (next !== undefined) list.push(next.address)
        } else if (kind === 'accept') {
          const leave = dialer.accept({ host: '7.7.7.7', port: 7 })
          if (leave !== undefined) guests.push(leave)
        } else if (kind === 'bye') guests[pick % Math.max(1, guests.length)]?.()
        else if (peer !== undefined) {
          if (kind === 'connect') dialer.connected(peer)
          else if (kind === 'fail') dialer.failed(peer, now)
          else dialer.disconnected(peer, now, 'useless')
        }
        let connections = 0
        let halfOpen = 0
        for (const each of dialers) {
          assert.ok(each.connections + each.halfOpen <= 8 && each.halfOpen <= 4)
          connections += each.connections
          halfOpen += each.halfOpen
        }
        assert.deepEqual([budget.connections, budget.halfOpen], [connections, halfOpen])
        assert.ok(connections + halfOpen <= 12 && halfOpen <= 5)
      }
    })
  )
})

test('an address that could not be dialled now is dialled again soon, and has not failed', () => {
  const dialer = dialerOf(1)
  const [address] = dialAll(dialer, 0)
  assert.ok(address)
  dialer.postponed(address, 0)
  dialer.postponed(address, 0)
  assert.equal(dialer.halfOpen, 0)
  assert.equal(dialer.wakeAt(0), 5000)
  for (let n = 1; n < 20; n++) {
    const candidate = dialer.nextDial(n * 5000)
    assert.equal(candidate?.failures, 0)
    dialer.postponed(address, n * 5000)
  }
})
