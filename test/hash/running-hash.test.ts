import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { digestLength, hashOf, RunningHash } from '../../lib/hash/running-hash.ts'
import { fromText, toHex } from '../../lib/util/bytes.ts'

test('known digests', () => {
  assert.equal(toHex(hashOf('sha1', fromText('abc'))), 'a9993e364706816aba3e25717850c26c9cd0d89d')
  assert.equal(toHex(hashOf('sha1', new Uint8Array(0))), 'da39a3ee5e6b4b0d3255bfef95601890afd80709')
  assert.equal(
    toHex(hashOf('sha256', fromText('abc'))),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  )
})

for (const algorithm of ['sha1', 'sha256'] as const) {
  test(`${algorithm} in parts equals ${algorithm} of the whole`, () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, n) => n)
    const running = new RunningHash(algorithm)
    for (let at = 0; at < bytes.length; at += 77) running.update(bytes.subarray(at, at + 77))
    const digest = running.digest()
    assert.deepEqual(digest, new Uint8Array(createHash(algorithm).update(bytes).digest()))
    assert.deepEqual(digest, hashOf(algorithm, bytes))
    assert.equal(digest.length, digestLength(algorithm))
  })
}
