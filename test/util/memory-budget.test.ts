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
