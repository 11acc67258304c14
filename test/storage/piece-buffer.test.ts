import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { blockLength } from '../../lib/metainfo/layout.ts'
import { PieceBuffer } from '../../lib/storage/piece-buffer.ts'
import { fc } from '../support/fast-check.ts'

test('the digest is right in any order of blocks', async () => {
  const size = 9 * blockLength + 77
  const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 7 + (index >> 10)) & 0xff)
  const expected = new Uint8Array(createHash('sha1').update(bytes).digest())
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { minLength: 10 }),
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 1, max: 10 * blockLength }),
      async (order, claims, used, usedSize) => {
        const buffer = new PieceBuffer(new Uint8Array(10 * blockLength))
        if (used) {
          // Its previous content must leave no trace.
          buffer.begin(1, usedSize)
          for (let block = 0; block * blockLength < usedSize; block++)
            buffer.fill(block, bytes.subarray(0, Math.min(blockLength, usedSize - block * blockLength)))
        }
        buffer.begin(3, size)
        for (const [index, block] of order.entries()) {
          assert.equal(buffer.complete, false)
          const part = bytes.subarray(block * blockLength, (block + 1) * blockLength)
          if (claims) {
            buffer.claim(block)?.set(part)
            buffer.fill(block)
          } else buffer.fill(block, part)
          // Received blocks stay unchanged.
          buffer.fill(block, new Uint8Array(part.length))
          assert.equal(buffer.has(block), true)
          assert.deepEqual(
            buffer.present(),
            order.slice(0, index + 1).sort((a, b) => a - b)
          )
        }
        buffer.fill(10, new Uint8Array(5))
        buffer.fill(-1)
        assert.equal(buffer.complete, true)
        assert.deepEqual(buffer.readyDigest() ?? (await buffer.digest()), expected)
        assert.equal(buffer.bytes.length, size)
      }
    ),
    { numRuns: 50 }
  )
})

test('the last block is as short as the piece', () => {
  const buffer = new PieceBuffer(new Uint8Array(4 * blockLength))
  buffer.begin(0, blockLength + 5)
  assert.equal(buffer.view(1).length, 5)
  assert.equal(buffer.claim(1)?.length, 5)
  assert.equal(buffer.claim(2), undefined)
  assert.equal(buffer.readyDigest(), undefined)
})

test('padding is present from the start: as zeros, in no block, and in the digest', async () => {
  const requested = fc.integer({ min: 1, max: 9 * blockLength })
  await fc.assert(
    fc.asyncProperty(requested, fc.integer({ min: 0, max: 3 * blockLength }), async (length, padding) => {
      const size = length + padding
      const bytes = new Uint8Array(size)
      for (let index = 0; index < length; index++) bytes[index] = (index * 7 + 1) & 0xff
      const memory = new Uint8Array(12 * blockLength)
      const buffer = new PieceBuffer(memory)
      for (const own of [length, size, length]) {
        // Blocks of the previous piece.
        memory.fill(0xff)
        buffer.begin(4, size, own)
        const count = Math.ceil(own / blockLength)
        for (let block = count - 1; block >= 0; block--) {
          assert.equal(buffer.complete, false)
          assert.equal(buffer.view(block).length, Math.min(blockLength, own - block * blockLength))
          const target = buffer.claim(block)
          const start = block * blockLength
          target?.set(bytes.subarray(start, start + target.length))
          buffer.fill(block)
        }
        assert.equal(buffer.complete, true)
        assert.equal(buffer.present().length, count)
        assert.equal(buffer.claim(count), undefined)
        assert.equal(buffer.requested.length, own)
        assert.ok(Buffer.from(bytes).equals(buffer.bytes))
        const digest = buffer.readyDigest() ?? (await buffer.digest())
        assert.deepEqual(digest, new Uint8Array(createHash('sha1').update(bytes).digest()))
      }
    }),
    { numRuns: 50 }
  )
})
