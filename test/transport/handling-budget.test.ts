import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HandlingBudget } from '../../lib/transport/handling-budget.ts'
import { limits } from '../../lib/transport/limits.ts'

/**
 * Milliseconds of handling that a host causes at a time, and how often; its share of a core, and whether it
 * is closed.
 */
const hosts: [what: string, ms: number, everyMs: number, part: number, closed: boolean][] = [
  ['a host that uses 2 % of a core', 0.2, 10, 0.02, false],
  ['a host that comes in bursts within its part', 200, 10_000, 0.02, false],
  ['a host that uses half a core', 5, 10, 0.03, true],
  ['a host that uses a whole core in small steps', 0.1, 0.1, 0.03, true]
]
for (const [what, ms, everyMs, part, closed] of hosts) {
  test(`${what} ${closed ? 'is read more slowly and then closed' : 'is read without delay'}`, () => {
    const budget = new HandlingBudget(limits.sharedHandling)
    let now = 1000
    let used = 0
    let waited = 0
    let isClosed = false
    while (now < 300_000 && !isClosed) {
      const waitMs = budget.add('a', ms, now)
      used += ms
      isClosed = waitMs === Number.POSITIVE_INFINITY
      waited += isClosed ? 0 : waitMs
      now += Math.max(everyMs, isClosed ? 0 : waitMs)
    }
    assert.equal(isClosed, closed)
    assert.equal(waited > 0, closed)
    assert.ok(used - 250 <= part * now, `${used} ms in ${now} ms`)
  })
}

for (const [what, handling, percent] of [
  ['a host', limits.handling, 4],
  ['a shared host', limits.sharedHandling, 5]
] as const) {
  test(`in any ten seconds ${what} takes at most ${percent} % of a core`, () => {
    const budget = new HandlingBudget(handling)
    const costs: { at: number; ms: number }[] = []
    for (let now = 0; now < 60_000; ) {
      // Silent at intervals, so that it may use the most at once.
      if (now % 20_000 < 8000) now += 8000 - (now % 20_000)
      const waitMs = budget.add('a', 1, now)
      if (waitMs === Number.POSITIVE_INFINITY) break
      costs.push({ at: now, ms: 1 })
      now += 0.5 + waitMs
    }
    assert.ok(costs.length > 100 * percent)
    for (const { at: start } of costs) {
      const used = costs.reduce((sum, { at, ms }) => sum + (at >= start && at < start + 10_000 ? ms : 0), 0)
      assert.ok(used <= percent * 100 + 1, `${used} ms from ${start} on`)
    }
  })
}

test('successive connections share the budget of their host, and other hosts lose nothing', () => {
  const budget = new HandlingBudget(limits.sharedHandling)
  let open = 0
  for (let n = 0; n < 1000; n++) if (budget.add('a', 5, n) !== Number.POSITIVE_INFINITY) open++
  assert.ok(open * 5 <= 250 + 250 + 25 + 5, `${open} connections`)
  assert.equal(budget.add('b', 5, 1000), 0)
  assert.equal(budget.add('a', 5, 1e6), 0)
})

test('a host over its budget may not connect anew, and refusals count as well', () => {
  const budget = new HandlingBudget(limits.sharedHandling)
  budget.add('a', 400, 0)
  assert.equal(budget.refuses('a', 0), false)
  assert.equal(budget.waitOf('a', 0), 6000)
  assert.equal(budget.waitOf('b', 0), 0)
  budget.add('a', 101, 0)
  assert.equal(budget.refuses('a', 0), true)
  assert.equal(budget.refuses('b', 0), false)
  // It would be read again after a short silence, but not while it persists.
  let refused = 0
  for (let now = 0; now < 10_000; now += 0.5) if (budget.refuses('a', now)) refused++
  assert.equal(refused, 20_000)
  assert.equal(budget.refuses('a', 40_000), false)
})

test('a host that used too much waits for a while, and not for each message', () => {
  const budget = new HandlingBudget(limits.sharedHandling)
  assert.equal(budget.add('a', 250, 0), 0)
  assert.equal(budget.add('a', 0.1, 0), 100)
  assert.equal(Math.round(budget.waitOf('a', 0)), 4, 'a new connection need not wait so long')
  assert.equal(budget.add('a', 0.1, 100), 0)
  assert.equal(Math.round(budget.add('a', 10, 100)), 308)
})

test('the usage of one key moves to another', () => {
  const budget = new HandlingBudget(limits.sharedHandling)
  budget.add('a:1', 200, 0)
  budget.add('a:2', 200, 0)
  budget.move('a:1', 'a', 0)
  assert.equal(budget.waitOf('a', 0), 0)
  budget.move('a:2', 'a', 0)
  assert.equal(budget.waitOf('a', 0), 6000)
  assert.equal(budget.size, 1)
})

test('the memory for any number of hosts is bounded', () => {
  const budget = new HandlingBudget(limits.sharedHandling)
  for (let n = 0; n < 100_000; n++) budget.add(`host ${n}`, 0.01, n)
  assert.ok(budget.size <= 4096)
})
