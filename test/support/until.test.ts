import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from './until.ts'

test('returns the awaited value', async () => {
  let n = 0
  assert.equal(await until('a truthy value', () => (++n > 2 ? n : undefined)), 3)
  assert.equal(await until('a value', () => ++n % 7, { is: 0 }), 0)
  assert.equal(await until('a value that passes', async () => ++n, { is: (value) => value > 20 }), 21)
})

test('the error names the condition and the last value', async () => {
  const never = until('five peers', () => 3, { is: 5, timeoutMs: 1 })
  await assert.rejects(never, /waited for five peers: .* 0\.001 s; last value 3 of \(\) => 3/)
})

test('an exception of the reader ends the wait', async () => {
  const failing = (): boolean => {
    throw new Error('closed')
  }
  await assert.rejects(until('it to open', failing), /closed/)
})

test('the exit of a watched program ends the wait with its log', async () => {
  const program = { name: 'tracker', exited: Promise.resolve(3), log: () => 'no such port' }
  await assert.rejects(
    until('an answer', () => false, { programs: [program] }),
    /waited for an answer: tracker ended with 3; last value false of .*\n--- tracker\nno such port/
  )
})
