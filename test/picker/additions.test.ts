import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Additions } from '../../lib/picker/additions.ts'

test('the latest additions are recorded, and lost ones are reported', () => {
  const additions = new Additions()
  assert.deepEqual(additions.since(0), [])
  for (let piece = 100; piece < 300; piece++) {
    additions.add(piece)
    const { count } = additions
    assert.equal(count, piece - 99)
    assert.deepEqual(additions.since(count), [])
    assert.deepEqual(additions.since(count - 1), [piece])
    if (count >= 64) assert.equal(additions.since(count - 64)?.length, 64)
    if (count > 64) assert.equal(additions.since(count - 65), undefined)
  }
  assert.equal(additions.since(-1), undefined)
})
