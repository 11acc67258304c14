import assert from 'node:assert/strict'
import test from 'node:test'
import { NumberMap } from '../../lib/util/number-map.ts'
import { fc } from '../support/fast-check.ts'

const key = fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 2 ** 31 - 1 }))
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant('set' as const), key }) },
  { weight: 5, arbitrary: fc.record({ what: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('clear' as const), key }) }
)

test('a map of numbers behaves like a Map, in the same order', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const ours = new NumberMap<number>()
      const theirs = new Map<number, number>()
      for (const [n, { what, key }] of steps.entries()) {
        if (what === 'set') {
          ours.set(key, n)
          theirs.set(key, n)
        } else if (what === 'delete') assert.equal(ours.delete(key), theirs.delete(key))
        else {
          ours.clear()
          theirs.clear()
        }
        assert.equal(ours.size, theirs.size)
        assert.equal(ours.get(key), theirs.get(key))
        assert.equal(ours.has(key), theirs.has(key))
      }
      assert.deepEqual([...ours], [...theirs])
      assert.deepEqual([...ours.keys()], [...theirs.keys()])
      assert.deepEqual([...ours.values()], [...theirs.values()])
    })
  )
})

test('a map of numbers keeps thousands of short-lived entries apart', () => {
  const map = new NumberMap<string>()
  const held: number[] = []
  for (let n = 0; n < 50_000; n++) {
    const key = (n * 7919) % 100_003
    map.set(key, `${key}`)
    held.push(key)
    if (held.length > 300) assert.equal(map.delete(held.shift() ?? -1), true)
  }
  assert.equal(map.size, 300)
  for (const key of held) assert.equal(map.get(key), `${key}`)
  assert.deepEqual([...map.keys()], held)
})

test('undefined is a value, and a missing key has none', () => {
  const map = new NumberMap<undefined>()
  assert.equal(map.has(3), false)
  map.set(3, undefined)
  assert.equal(map.has(3), true)
  assert.equal(map.has(-1), false)
  map.delete(3)
  assert.equal(map.has(-1), false)
  assert.equal(map.delete(3), false)
})
