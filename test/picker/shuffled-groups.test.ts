import assert from 'node:assert/strict'
import test from 'node:test'
import { shuffledGroups } from '../../lib/picker/shuffled-groups.ts'

test('groups are in random order, each from its last number to its first', () => {
  let calls = 0
  const random = (): number => (calls++ * 0.37) % 1
  const order = shuffledGroups(10, 3, random)
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  )
  const text = order.join(' ')
  for (const group of ['2 1 0', '5 4 3', '8 7 6', '9']) assert.ok(text.includes(group), text)
  assert.notEqual(text, '2 1 0 5 4 3 8 7 6 9')
  assert.equal(shuffledGroups(0, 1, random).length, 0)
})
