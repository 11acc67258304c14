import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HandlingBudget } from '../../lib/transport/handling-budget.ts'

/** Milliseconds of handling that a host causes at a time, and how often; what part of a core it gets, and whether it is closed. */
const hosts: [what: string, ms: number, everyMs: number, part: number, closed: boolean][] = [
  ['a host that uses 4 % of a core', 0.4, 10, 0.04, false],
  ['a host that comes in bursts within its part', 400, 10_000, 0.04, false],
  ['a host that uses half a core', 5, 10, 0.06, true],
  ['a host that uses a whole core in small steps', 0.1, 0.1, 0.06, true]
]
for (const [what, ms, everyMs, part, closed] of hosts) {
  test(`${what} ${closed ? 'is read more slowly and then closed' : 'is read as it comes'}`, () => {
    const budget = new HandlingBudget()
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
    assert.ok(used - 500 <= part * now, `${used} ms in ${now} ms`)
  })
}

test('connections that come one after the other share what their host may use, and other hosts lose nothing', () => {
  const budget = new HandlingBudget()
  let open = 0
  for (let n = 0; n < 1000; n++) if (budget.add('a', 5, n) !== Number.POSITIVE_INFINITY) open++
  assert.ok(open * 5 <= 500 + 500 + 50 + 5, `${open} connections`)
  assert.equal(budget.add('b', 5, 1000), 0)
  assert.equal(budget.add('a', 5, 1e6), 0)
})

test('hosts without end take no memory without end', () => {
  const budget = new HandlingBudget()
  for (let n = 0; n < 100_000; n++) budget.add(`host ${n}`, 0.01, n)
  assert.ok(budget.size <= 4096)
})
