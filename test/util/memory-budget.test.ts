import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'

test('the last quarter is for urgent reservations', () => {
  const budget = new MemoryBudget(100)
  assert.ok(budget.reserve(75))
  assert.ok(!budget.reserve(1))
  assert.ok(budget.reserve(25, true))
  assert.ok(!budget.reserve(1, true))
  assert.equal(budget.used, 100)
})

test('the reserve may be chosen', () => {
  const budget = new MemoryBudget(100, 0)
  assert.ok(budget.reserve(99))
  assert.ok(budget.reserve(1))
})

test('what is greater than the budget passes alone', () => {
  const budget = new MemoryBudget(100)
  assert.ok(budget.reserve(500))
  assert.ok(!budget.reserve(1, true))
  budget.release(500)
  assert.ok(budget.reserve(500, true))
})

test('no limit', () => {
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY)
  assert.ok(budget.reserve(1e15) && budget.reserve(1e15) && budget.reserve(1, true))
})

test('all who wait hear of the next release once', () => {
  const budget = new MemoryBudget(100)
  const heard: string[] = []
  budget.reserve(75)
  budget.onRelease(() => heard.push('a'))
  budget.onRelease(() => {
    heard.push('b')
    budget.onRelease(() => heard.push('again'))
  })
  const takeBack = budget.onRelease(() => heard.push('c'))
  takeBack()
  budget.release(10)
  assert.deepEqual(heard, ['a', 'b'])
  budget.release(10)
  assert.deepEqual(heard, ['a', 'b', 'again'])
  assert.equal(budget.used, 55)
})

test('what can do without gives way, each in turn, and takes no more than half', () => {
  const budget = new MemoryBudget(100, 0)
  const held = [0, 0]
  const stops = [0, 1].map((index) =>
    budget.reclaimer(() => {
      if (held[index] === 0) return false
      held[index] = (held[index] ?? 0) - 10
      budget.release(10)
      return true
    })
  )
  for (let times = 0; times < 5; times++) {
    const index = times % 2
    assert.ok(budget.reserveSpare(10))
    held[index] = (held[index] ?? 0) + 10
  }
  assert.equal(budget.reserveSpare(10), false)
  assert.ok(budget.reserve(70))
  assert.deepEqual(held, [20, 10])
  assert.ok(budget.reserve(30))
  assert.deepEqual(held, [0, 0])
  assert.equal(budget.reserve(1), false)
  for (const stop of stops) stop()
})
