import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type MemoryAccount, MemoryBudget, type Surplus } from '../../lib/util/memory-budget.ts'

/** Holds pieces of 10 bytes in an account, some of them reclaimable. */
class Holder {
  readonly account: MemoryAccount
  /** Reclaimable pieces, by kind. */
  surplus: Surplus[] = []
  freed = 0

  constructor(budget: MemoryBudget) {
    this.account = budget.open({
      reclaim: (surplus) => {
        const at = this.surplus.findIndex((each) => each === 'unserved' || each === surplus)
        if (at < 0) return false
        this.surplus.splice(at, 1)
        this.account.release(10)
        return true
      },
      onFreed: () => void this.freed++
    })
  }

  /** Reserves pieces until `count` or a refusal. */
  take(count = Number.POSITIVE_INFINITY, urgent = false): number {
    let taken = 0
    while (taken < count && this.account.reserve(10, urgent)) taken++
    return taken
  }
}

function holders(count: number, limit: number, urgentReserve = 0): Holder[] {
  const budget = new MemoryBudget(limit, urgentReserve)
  return Array.from({ length: count }, () => new Holder(budget))
}

test('the last quarter is for urgent reservations', () => {
  const budget = new MemoryBudget(100)
  const { account } = new Holder(budget)
  assert.ok(account.reserve(75))
  assert.ok(!account.reserve(1))
  assert.ok(account.reserve(25, true))
  assert.ok(!account.reserve(1, true))
  assert.equal(budget.used, 100)
})

test('the reserve may be chosen', () => {
  const { account } = new Holder(new MemoryBudget(100, 0))
  assert.ok(account.reserve(99))
  assert.ok(account.reserve(1))
})

test('a reservation greater than the budget is refused', () => {
  const { account } = new Holder(new MemoryBudget(100))
  assert.ok(!account.reserve(76))
  assert.ok(!account.reserve(101, true))
  assert.ok(account.reserve(100, true))
})

test('no limit', () => {
  const { account } = new Holder(new MemoryBudget(Number.POSITIVE_INFINITY))
  assert.ok(account.reserve(1e15) && account.reserve(1e15) && account.reserve(1, true))
})

test('all waiting accounts are told of the next release once, in a later turn', async () => {
  const [a, b, c] = holders(3, 100) as [Holder, Holder, Holder]
  a.take()
  b.take()
  c.account.wait()
  assert.deepEqual([a.freed, b.freed, c.freed], [0, 0, 0])
  a.account.release(10)
  a.account.release(10)
  assert.deepEqual([a.freed, b.freed, c.freed], [0, 0, 0])
  await nextTurn()
  assert.deepEqual([a.freed, b.freed, c.freed], [1, 1, 1])
  a.account.release(10)
  await nextTurn()
  assert.deepEqual([a.freed, b.freed, c.freed], [1, 1, 1])
})

test('pieces that no peer has are released for any other torrent', () => {
  const [a, b] = holders(2, 100) as [Holder, Holder]
  a.take()
  a.surplus = ['idle', 'unserved', 'unserved']
  assert.equal(b.take(2), 2)
  assert.deepEqual(a.surplus, ['idle'])
})

test('a torrent below its fair share gets idle pieces of those above theirs, and no more', () => {
  const [a, b] = holders(2, 100) as [Holder, Holder]
  a.take()
  a.surplus = Array<Surplus>(10).fill('idle')
  assert.equal(b.take(), 5)
  assert.deepEqual([a.account.used, b.account.used], [50, 50])
  assert.equal(a.take(), 0)
})

test('the torrent that is farthest above its fair share releases first', () => {
  const [a, b, c] = holders(3, 100) as [Holder, Holder, Holder]
  a.take(4)
  b.take(6)
  for (const holder of [a, b]) holder.surplus = Array<Surplus>(10).fill('idle')
  assert.equal(c.take(2), 2)
  assert.deepEqual([a.account.used, b.account.used], [40, 40])
})

test('while a torrent waits for its fair share no other exceeds its own', async () => {
  const [a, b] = holders(2, 100) as [Holder, Holder]
  a.take()
  assert.equal(b.take(), 0)
  a.account.release(10)
  assert.equal(a.take(), 0, 'also in the turn of the release')
  await nextTurn()
  assert.equal(b.freed, 1)
  assert.equal(b.take(), 1)
  b.account.release(10)
  await nextTurn()
  assert.equal(a.take(), 1, 'no account waits any more')
})

test('a waiting torrent above its fair share blocks no other', () => {
  const [a, b, c] = holders(3, 100) as [Holder, Holder, Holder]
  for (const { account } of [a, b, c]) account.reserve(24)
  a.account.reserve(30)
  assert.ok(b.account.reserve(24), 'the rest is used')
})

test('urgent reservations get idle pieces that no reader needs, regardless of fair share', () => {
  const [a, b] = holders(2, 100) as [Holder, Holder]
  b.take(5)
  a.take(5)
  a.surplus = ['idle', 'idle']
  assert.equal(b.take(1), 0)
  assert.equal(b.take(3, true), 2)
})

test('while a release is pending nothing more is reclaimed for the same bytes', () => {
  const [a, b] = holders(2, 100) as [Holder, Holder]
  a.take()
  a.surplus = ['unserved', 'unserved']
  a.account.leave(20)
  assert.equal(b.take(), 0)
  assert.equal(a.surplus.length, 2)
  a.account.leave(-20)
  a.account.release(20)
  assert.equal(b.take(2), 2)
  assert.equal(a.surplus.length, 2)
})

test('an account that closes no longer counts', () => {
  const [a, b, c] = holders(3, 90) as [Holder, Holder, Holder]
  b.take(3)
  a.take()
  c.take()
  c.account.close()
  a.surplus = ['idle', 'idle', 'idle']
  assert.equal(b.take(2), 1, 'a share is half now')
})

test('spare memory is released on demand, by each holder in turn, and is at most half', () => {
  const budget = new MemoryBudget(100, 0)
  const { account } = new Holder(budget)
  const held = [0, 0]
  const stops = [0, 1].map((index) =>
    budget.reclaimer(() => {
      if (held[index] === 0) return false
      held[index] = (held[index] ?? 0) - 10
      budget.releaseSpare(10)
      return true
    })
  )
  for (let times = 0; times < 5; times++) {
    const index = times % 2
    assert.ok(budget.reserveSpare(10))
    held[index] = (held[index] ?? 0) + 10
  }
  assert.equal(budget.reserveSpare(10), false)
  assert.ok(account.reserve(70))
  assert.deepEqual(held, [20, 10])
  assert.ok(account.reserve(30))
  assert.deepEqual(held, [0, 0])
  assert.equal(account.reserve(1), false)
  for (const stop of stops) stop()
})
