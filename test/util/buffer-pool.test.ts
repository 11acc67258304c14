import assert from 'node:assert/strict'
import test from 'node:test'
import { BufferPool } from '../../lib/util/buffer-pool.ts'

test('buffers given back are used again, as many as are kept', () => {
  const pool = new BufferPool(100_000, 2)
  const three = [pool.take(), pool.take(), pool.take()]
  assert.ok(three.every((buffer) => buffer.length === 100_000 && buffer.buffer.byteLength === 100_000))
  assert.equal(new Set(three).size, 3)
  for (const buffer of three) pool.give(buffer)
  const again = [pool.take(), pool.take(), pool.take()]
  assert.equal(again.filter((buffer) => three.includes(buffer)).length, 2)
  assert.equal(new Set(again).size, 3)
  for (const buffer of again) pool.give(buffer)
  pool.clear()
  assert.equal(again.includes(pool.take()), false)
})
