import assert from 'node:assert/strict'
import test from 'node:test'
import { monotonicMs } from '../../lib/util/clock.ts'

test('never goes back', () => {
  let last = monotonicMs()
  for (let count = 0; count < 1000; count++) {
    const now = monotonicMs()
    assert.ok(now >= last)
    last = now
  }
})
