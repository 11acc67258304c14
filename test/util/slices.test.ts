import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { runSteps, runStepsInSlices, type Steps, yieldToEventLoop } from '../../lib/util/slices.ts'

/** Blocks the event loop. */
function hold(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

function* counting(parts: number, partMs: number): Steps<number> {
  for (let part = 0; part < parts; part++) {
    hold(partMs)
    yield
  }
  return parts
}

test('sliced work gives the same result as at once, and other work runs between its slices', async () => {
  assert.equal(runSteps(counting(3, 0)), 3)
  let turns = 0
  let over = false
  const work = runStepsInSlices(counting(5, 10)).finally(() => {
    over = true
  })
  while (!over) {
    await setImmediate()
    turns++
  }
  assert.equal(await work, 5)
  assert.ok(turns >= 5, `${turns}`)
})

test('short work never waits, and the longest waiting work runs first', async () => {
  await setImmediate()
  await setImmediate()
  assert.equal(yieldToEventLoop(), undefined)
  hold(30)
  const order: number[] = []
  const waits = [1, 2, 3].map(async (n) => {
    const pause = yieldToEventLoop()
    assert.ok(pause !== undefined)
    await pause
    order.push(n)
  })
  await Promise.all(waits)
  assert.deepEqual(order, [1, 2, 3])
})

test('an error in a slice is that of the work', async () => {
  function* failing(): Steps<void> {
    yield
    throw new Error('no')
  }
  assert.throws(() => runSteps(failing()), /no/)
  await assert.rejects(runStepsInSlices(failing()), /no/)
})
