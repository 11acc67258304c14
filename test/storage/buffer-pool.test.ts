import assert from 'node:assert/strict'
import test from 'node:test'
import { BufferPool } from '../../lib/storage/buffer-pool.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'

const pieceLength = 1000

function poolOf(budget: MemoryBudget): BufferPool {
  return new BufferPool(pieceLength, budget.open({ reclaim: () => false, freed: () => {} }))
}

test('the buffer of a piece is reused, and counts in between', () => {
  const budget = new MemoryBudget(10 * pieceLength)
  const pool = poolOf(budget)
  assert.equal(pool.reserve(false), undefined)
  const buffer = pool.make()
  pool.release(buffer)
  assert.equal(budget.used, pieceLength)
  assert.equal(pool.reserve(false), buffer)
  assert.equal(budget.used, pieceLength)
  assert.equal(pool.reserve(false), undefined)
  pool.release()
  pool.release(buffer)
  pool.clear()
  assert.equal(budget.used, 0)
})

test("spare buffers are released when others need the memory, and never use the readers' part", () => {
  const budget = new MemoryBudget(8 * pieceLength)
  const [one, two] = [poolOf(budget), poolOf(budget)]
  for (let n = 0; n < 3; n++) one.reserve(false)
  for (let n = 0; n < 3; n++) one.release(one.make())
  assert.equal(budget.used, 3 * pieceLength)
  for (let n = 0; n < 6; n++) assert.notEqual(two.reserve(false), false)
  assert.equal(budget.used, 6 * pieceLength)
  assert.equal(one.reserve(false), false)
  assert.notEqual(two.reserve(true), false)
  two.release(two.make())
  assert.equal(budget.used, 6 * pieceLength)
  one.close()
})

test('a spare buffer stays spare when its owner may have no more', () => {
  const budget = new MemoryBudget(4 * pieceLength)
  const [one, two] = [poolOf(budget), poolOf(budget)]
  one.reserve(false)
  one.reserve(false)
  one.release(one.make())
  two.reserve(true)
  assert.notEqual(two.reserve(true), false)
  // The second torrent waits for its share.
  assert.equal(two.reserve(false), false)
  assert.equal(budget.used, 3 * pieceLength)
})
