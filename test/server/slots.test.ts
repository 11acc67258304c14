import assert from 'node:assert/strict'
import test from 'node:test'
import { Slots, tooMany } from '../../lib/server/slots.ts'

test('slots are counted in all and for each host, and released once', () => {
  const slots = new Slots(4, 2)
  const first = slots.take('a')
  assert.ok(first !== undefined && slots.take('a') !== undefined)
  assert.equal(slots.take('a'), undefined)
  assert.equal(slots.isHostFull('a'), true)
  assert.equal(slots.isHostFull('b'), false)
  assert.ok(slots.take('b') !== undefined && slots.take(undefined) !== undefined)
  assert.equal(slots.take('b'), undefined, 'all are taken')
  assert.equal(slots.isHostFull('b'), false)
  first()
  first()
  assert.equal(slots.taken, 3)
  assert.ok(slots.take('a') !== undefined)
  assert.equal(slots.take(undefined), undefined)
})

test('a client without a host is bounded by the total alone', () => {
  const slots = new Slots(3, 1)
  assert.ok([1, 2, 3].every(() => slots.take(undefined) !== undefined))
  assert.equal(slots.take(undefined), undefined)
})

test('a refusal says when to retry', () => {
  const { status, headers, message } = tooMany('files are being read')
  assert.deepEqual([status, headers, message], [503, { 'retry-after': '5' }, 'too many files are being read'])
})
