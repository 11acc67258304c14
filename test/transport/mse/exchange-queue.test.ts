import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ExchangeQueue } from '../../../lib/transport/mse/exchange-queue.ts'
import { limits } from '../../../lib/transport/mse/limits.ts'
import type { Timers } from '../../../lib/util/timers.ts'

/** A clock that stands still until it is moved on to the next timer. */
function virtualTimers() {
  let now = 1000
  const timers = new Set<{ at: number; callback: () => void }>()
  const virtual: Timers = {
    now: () => now,
    after(delayMs, callback) {
      const timer = { at: now + delayMs, callback }
      timers.add(timer)
      return () => timers.delete(timer)
    }
  }
  const next = (): boolean => {
    const [first] = [...timers].sort((a, b) => a.at - b.at)
    if (first === undefined) return false
    timers.delete(first)
    now = Math.max(now, first.at)
    first.callback()
    return true
  }
  const pass = (ms: number): void => {
    now += ms
  }
  return { virtual, next, pass, count: () => timers.size, now: () => now }
}

test('a burst of key exchanges is made at once, and later ones in order at the limit', () => {
  const { virtual, next, now } = virtualTimers()
  const queue = new ExchangeQueue(virtual)
  const made: { n: number; at: number }[] = []
  const count = limits.exchangeBurst + 2 * limits.exchangesPerSecond
  for (let n = 0; n < count; n++) queue.wait(() => void made.push({ n, at: now() }))
  assert.equal(made.length, limits.exchangeBurst)
  while (next());
  assert.deepEqual(
    made.map(({ n }) => n),
    Array.from({ length: count }, (_, n) => n)
  )
  assert.ok(Math.abs((made.at(-1)?.at ?? 0) - 3000) < 20, `${made.at(-1)?.at}`)
})

test('who has left is passed over, and no timer stays for an empty queue', () => {
  const { virtual, next, count } = virtualTimers()
  const queue = new ExchangeQueue(virtual)
  const made: string[] = []
  for (let n = 0; n < limits.exchangeBurst; n++) queue.wait(() => {})
  const leave = queue.wait(() => made.push('left'))
  const leaveLast = queue.wait(() => made.push('stayed'))
  leave()
  assert.equal(count(), 1)
  next()
  assert.deepEqual(made, ['stayed'])
  leaveLast()
  queue.wait(() => made.push('late'))()
  assert.equal(count(), 0)
  assert.deepEqual(made, ['stayed'])
})

test('the burst returns with time', () => {
  const { virtual, pass } = virtualTimers()
  const queue = new ExchangeQueue(virtual)
  let made = 0
  for (let n = 0; n < limits.exchangeBurst; n++) queue.wait(() => made++)
  pass((1000 * limits.exchangeBurst) / limits.exchangesPerSecond)
  for (let n = 0; n < limits.exchangeBurst; n++) queue.wait(() => made++)
  assert.equal(made, 2 * limits.exchangeBurst)
})
