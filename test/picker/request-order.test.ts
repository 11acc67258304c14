import assert from 'node:assert/strict'
import test from 'node:test'
import { RarityOrder } from '../../lib/picker/rarity-order.ts'
import {
  backgroundStages,
  bucketOf,
  type Candidate,
  compareRequests,
  isDeferred
} from '../../lib/picker/request-order.ts'
import { fc } from '../support/fast-check.ts'

const urgent = (deadline: number, piece: number): Candidate => ({ stage: 'urgent', deadline, piece })
const partial = (age: number): Candidate => ({ stage: 'partial', age })
const fresh = (priority: number, availability: number, suggested = false): Candidate => ({
  stage: 'fresh',
  priority,
  availability,
  suggested
})
const deferred = (age: number): Candidate => ({ stage: 'deferred', age })
const late = (eta: number): Candidate => ({ stage: 'late', eta })
const current: Candidate = { stage: 'current' }

/** A row for each entry of the list above `compareRequests`: the first of two requests comes first. */
const rows: readonly [entry: number, what: string, first: Candidate, second: Candidate][] = [
  [1, 'the earlier deadline', urgent(10, 9), urgent(20, 3)],
  [1, 'a reader before all else', urgent(1e9, 9), current],
  [2, 'of equal deadlines the earlier piece', urgent(10, 3), urgent(10, 9)],
  [3, 'the current piece before older ones', current, partial(0)],
  [4, 'the oldest partial piece', partial(1), partial(2)],
  [4, 'a partial piece before a missing one', partial(9), fresh(7, 1, true)],
  [5, 'the higher priority', fresh(5, 90), fresh(4, 1, true)],
  [6, 'a piece that the peer suggests', fresh(4, 90, true), fresh(4, 1)],
  [7, 'a piece that fewer peers have', fresh(4, 2), fresh(4, 3)],
  [8, 'a piece that some peer has', fresh(4, 90), fresh(4, 0)],
  [9, 'a missing piece before a deferred one', fresh(1, 0), deferred(0)],
  [9, 'the oldest deferred piece', deferred(1), deferred(2)],
  [10, 'a block without requests', deferred(9), late(1e9)],
  [10, 'the latest block requested from others', late(20), late(10)]
]

for (const [entry, what, first, second] of rows) {
  test(`entry ${entry} of the order of requests: ${what}`, () => {
    assert.ok(compareRequests(first, second) < 0)
    assert.ok(compareRequests(second, first) > 0)
    assert.equal(compareRequests(first, { ...first }), 0)
  })
}

test('each entry has a row, and groups of a peer are searched in their order', () => {
  assert.deepEqual([...new Set(rows.map(([entry]) => entry))], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  const groups = backgroundStages.map((stage): Candidate => ({ stage }))
  assert.deepEqual([...groups].reverse().sort(compareRequests), groups)
  assert.deepEqual([...backgroundStages].sort(), ['current', 'deferred', 'fresh', 'partial'])
})

test('a partial piece comes after a scarce one if other peers have it and it is wanted no more', () => {
  assert.equal(isDeferred(1, 4, 4), true)
  assert.equal(isDeferred(1, 3, 4), true)
  assert.equal(isDeferred(1, 5, 4), false, 'it is wanted more')
  assert.equal(isDeferred(0, 4, 4), false, 'only seeds have it as well')
})

const candidate = fc.record({
  stage: fc.constantFrom(...(['urgent', 'current', 'partial', 'fresh', 'deferred', 'late'] as const)),
  piece: fc.nat({ max: 3 }),
  deadline: fc.nat({ max: 3 }),
  age: fc.nat({ max: 3 }),
  priority: fc.integer({ min: 1, max: 3 }),
  suggested: fc.boolean(),
  availability: fc.nat({ max: 3 }),
  eta: fc.nat({ max: 3 })
})

test('the order of requests has no cycle', () => {
  fc.assert(
    fc.property(candidate, candidate, candidate, (a, b, c) => {
      assert.equal(Math.sign(compareRequests(a, b)), -Math.sign(compareRequests(b, a)) + 0)
      if (compareRequests(a, b) <= 0 && compareRequests(b, c) <= 0) assert.ok(compareRequests(a, c) <= 0)
    })
  )
})

test('the bucket order of missing pieces equals the order of requests', () => {
  const piece = fc.record({ priority: fc.integer({ min: 1, max: 7 }), availability: fc.nat({ max: 12 }) })
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.boolean(), (pieces, hasSeed) => {
      const priority = (at: number): number => pieces[at]?.priority ?? 0
      const order = new RarityOrder({ pieceCount: pieces.length, priority }, () => 0.5)
      for (const [at, { availability }] of pieces.entries()) {
        order.add(at)
        for (let peer = 0; peer < availability; peer++) order.increment(at)
      }
      if (hasSeed) order.addPeer('all')
      const list = order.list().map((at) => fresh(priority(at), order.availability(at)))
      assert.equal(list.length, pieces.length)
      for (const [at, next] of list.slice(1).entries())
        assert.ok(compareRequests(list[at] ?? next, next) <= 0)
    })
  )
  // Numbers of one priority; more peers than buckets share the last.
  assert.deepEqual(
    [1, 2, 3, 9].map((leechers) => bucketOf(2, leechers, 4)),
    [9, 10, 11, 11]
  )
  assert.equal(bucketOf(2, 0, 4), 8)
})

test('blocks of two peers that deliver nothing are equal, and come before all expected blocks', () => {
  const never = late(Number.POSITIVE_INFINITY)
  assert.equal(compareRequests(never, late(Number.POSITIVE_INFINITY)), 0)
  assert.ok(compareRequests(never, late(1e9)) < 0)
  assert.ok(compareRequests(late(1e9), never) > 0)
})
