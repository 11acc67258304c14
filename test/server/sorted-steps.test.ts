import assert from 'node:assert/strict'
import test from 'node:test'
import { sortedSteps } from '../../lib/server/sorted-steps.ts'
import { runSteps } from '../../lib/util/slices.ts'
import { fc } from '../support/fast-check.ts'

test('steps sort like Array.sort, and stably', () => {
  const compare = (a: readonly number[], b: readonly number[]): number => (a[0] ?? 0) - (b[0] ?? 0)
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 700, size: 'max' }), (numbers) => {
      const items = numbers.map((number, index) => [number, index])
      assert.deepEqual(runSteps(sortedSteps([...items], compare)), items.toSorted(compare))
    })
  )
})

test('no step compares more than a few hundred times', () => {
  let compared = 0
  let most = 0
  const items = Array.from({ length: 20_000 }, (_, n) => (n * 7919) % 20_000)
  const steps = sortedSteps(items, (a, b) => {
    compared++
    return a - b
  })
  for (let step = steps.next(); step.done !== true; step = steps.next()) {
    most = Math.max(most, compared)
    compared = 0
  }
  assert.ok(most <= 64 * 6 + 256, `${most} comparisons in a step`)
})
