import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { forEachLimit } from '../../lib/util/for-each-limit.ts'

test('every index is visited once and no more than the limit at a time', async () => {
  const seen: number[] = []
  let active = 0
  let most = 0
  await forEachLimit(10, 3, async (index) => {
    most = Math.max(most, ++active)
    await setImmediate()
    seen.push(index)
    active--
  })
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  )
  assert.equal(most, 3)
})

test('the first failure stops the rest and is thrown', async () => {
  const seen: number[] = []
  await assert.rejects(
    forEachLimit(100, 2, async (index) => {
      seen.push(index)
      await setImmediate()
      if (index === 1) throw new Error('one')
    }),
    /one/
  )
  assert.ok(seen.length < 6)
  await forEachLimit(0, 2, () => Promise.reject(new Error('never')))
})
