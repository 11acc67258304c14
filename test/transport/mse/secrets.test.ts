import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hideName, markOf, nameOf, streamsOf } from '../../../lib/transport/mse/secrets.ts'
import { hiddenName, infoHash, mark, shared, streamA, streamB } from './vectors.ts'

test('the hashes of a shared secret are the known ones', () => {
  assert.deepEqual(Buffer.from(markOf(shared)), mark)
  assert.deepEqual(Buffer.from(hideName(nameOf(infoHash), shared)), hiddenName)
  assert.deepEqual(Buffer.from(hideName(hiddenName, shared)), Buffer.from(nameOf(infoHash)))
})

test('the streams of a shared secret are the known ones, without their first 1,024 bytes', () => {
  const { dialler, dialled } = streamsOf(shared, infoHash)
  for (const [rc4, expected] of [
    [dialler, streamA],
    [dialled, streamB]
  ] as const) {
    const zeros = Buffer.alloc(16)
    rc4.apply(zeros)
    assert.deepEqual(zeros, expected)
  }
})
