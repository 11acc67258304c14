import assert from 'node:assert/strict'
import test from 'node:test'
import { BufferPool } from '../../lib/storage/buffer-pool.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'

const pieceLength = 1000

function poolOf(budget: MemoryBudget): BufferPool {
  return new BufferPool(pieceLength, budget.open({ reclaim: () => false, onFreed: () => {} }))
}

test('the buffer of a piece is reused, and counts in between', () => {
  const budget = new MemoryBudget(10 * pieceLength)
  const pool = poolOf(budget)
  assert.ok(pool.reserve(false))
  const buffer = pool.take()
  pool.release(buffer)
  assert.equal(budget.used, pieceLength)
  assert.ok(pool.reserve(false))
  assert.equal(budget.used, pieceLength)
  assert.equal(pool.take(), buffer)
  assert.equal(budget.used, pieceLength)
  assert.ok(pool.reserve(false))
  pool.cancel()
  pool.release(buffer)
  pool.clear()
  assert.equal(budget.used, 0)
})

test("spare buffers are released when others need the memory, and never use the readers' part", () => {
  const budget = new MemoryBudget(8 * pieceLength)
  const [one, two] = [poolOf(budget), poolOf(budget)]
  for (let n = 0; n < 3; n++) one.reserve(false)
  for (const buffer of [one.take(), one.take(), one.take()]) one.release(buffer)
  assert.equal(budget.used, 3 * pieceLength)
  for (let n = 0; n < 6; n++) assert.ok(two.reserve(false))
  assert.equal(budget.used, 6 * pieceLength)
  assert.equal(one.reserve(false), false)
  assert.ok(two.reserve(true))
  two.release(two.take())
  assert.equal(budget.used, 6 * pieceLength)
  one.close()
})

test('a spare buffer stays spare when its owner may have no more', () => {
  const budget = new MemoryBudget(4 * pieceLength)
  const [one, two] = [poolOf(budget), poolOf(budget)]
  one.reserve(false)
  one.reserve(false)
  one.release(one.take())
  two.reserve(true)
  assert.ok(two.reserve(true))
  // The second torrent waits for its share.
  assert.equal(two.reserve(false), false)
  assert.equal(budget.used, 3 * pieceLength)
})

test('a buffer stays spare until the first block of a piece, whichever piece that is', () => {
  const budget = new MemoryBudget(10 * pieceLength)
  const pool = poolOf(budget)
  for (let n = 0; n < 2; n++) pool.reserve(false)
  const [first, second] = [pool.take(), pool.take()]
  pool.release(first)
  // Three reserved pieces, one of which may have the spare buffer.
  for (let n = 0; n < 2; n++) pool.reserve(false)
  assert.equal(budget.used, 3 * pieceLength)
  pool.release(second)
  assert.equal(budget.used, 3 * pieceLength)
  assert.equal(pool.take(), second)
  assert.equal(pool.take(), first)
  assert.equal(budget.used, 2 * pieceLength)
  pool.release()
  pool.release()
  assert.equal(budget.used, 0)
})

test('a cancelled reservation leaves its buffer to others, and its memory stays counted', () => {
  const budget = new MemoryBudget(10 * pieceLength)
  const pool = poolOf(budget)
  pool.reserve(false)
  pool.release(pool.take())
  pool.reserve(false)
  pool.cancel()
  assert.equal(budget.used, pieceLength)
  pool.reserve(false)
  pool.waive()
  assert.equal(budget.used, 2 * pieceLength)
  pool.close()
  assert.equal(budget.used, pieceLength)
})
