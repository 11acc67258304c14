import assert from 'node:assert/strict'
import test from 'node:test'
import { countSteps } from './cost.ts'
import { measure } from './measure.ts'
import { scenarios } from './scenarios.ts'

// Virtual time and seeded randomness: the same code gives the same numbers, so assertions are exact.

/**
 * Milliseconds by which these may stall beyond the bound. The bound of the crowd knows in advance which
 * pieces its members will get and when, and leaves those to them.
 */
const moreStallMs = new Map([['flash crowd of leechers', 400]])

for (const scenario of scenarios()) {
  test(`sim: ${scenario.name}`, () => {
    const result = measure(scenario)
    const lies = scenario.peers.some(({ corrupts = 0 }) => corrupts > 0)
    assert.ok(Number.isFinite(result.completionMs), 'everything comes')
    for (const jump of result.jumps) {
      const { seek, firstMiBMs, boundMs, stalledMs, stallBoundMs } = jump
      const said = JSON.stringify(jump)
      assert.ok(firstMiBMs <= boundMs * 1.5 + 1, `${seek ? 'seek' : 'start'}: ${said}`)
      // The bound does not count a liar's correct blocks.
      if (!lies) assert.ok(firstMiBMs >= boundMs - 1, `the bound is one: ${said}`)
      assert.ok(stalledMs <= stallBoundMs + (moreStallMs.get(scenario.name) ?? 0), `stalls: ${said}`)
    }
    assert.ok(result.wasted <= 0.02, `${result.wasted} came twice`)
    const { completionMs, rarestFirstMs, completionBoundMs } = result
    assert.ok(
      completionMs <= rarestFirstMs * 1.1,
      `done after ${completionMs}, ${rarestFirstMs} without readers`
    )
    assert.ok(completionMs >= completionBoundMs - 1, `done before ${completionBoundMs}`)
  })
}

test('sim: the same seed gives the same run', () => {
  const run = (): string => {
    const harsh = scenarios(0.2).at(-1)
    return harsh === undefined ? '' : JSON.stringify(measure(harsh))
  }
  assert.equal(run(), run())
})

for (const reads of [false, true]) {
  test(`sim: a block needs no more looks in a larger swarm (${reads ? 'with' : 'without'} a reader)`, () => {
    const [small, middle, large] = [
      [60, 600],
      [600, 6000],
      [3000, 30_000]
    ].map(([peers = 0, pieces = 0]) => countSteps({ peers, pieces, reads }, 8000))
    assert.ok(small !== undefined && middle !== undefined && large !== undefined)
    const said = `${small}, ${middle} and ${large} looks`
    assert.ok(middle <= small * 1.5 && large <= small * 1.5, said)
  })
}
