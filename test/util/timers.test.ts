import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemTimers } from '../../lib/util/timers.ts'

test('after calls back once, and not when cancelled', async () => {
  let late = false
  const cancel = systemTimers.after(0, () => {
    late = true
  })
  cancel()
  const from = systemTimers.now()
  await new Promise<void>((resolve) => systemTimers.after(Number.NaN, resolve))
  await new Promise<void>((resolve) => systemTimers.after(2, resolve))
  cancel()
  assert.equal(late, false)
  assert.ok(systemTimers.now() >= from)
})

test('a delay beyond the range of setTimeout does not fire at once', async () => {
  let fired = false
  const cancel = systemTimers.after(2 ** 40, () => {
    fired = true
  })
  await new Promise<void>((resolve) => systemTimers.after(5, resolve))
  cancel()
  assert.equal(fired, false)
})
