import assert from 'node:assert/strict'
import test from 'node:test'
import { allBits, bitsOf, commonPrefixBits, countBits, hasBit, setBit } from '../../lib/util/bits.ts'
import { fc } from '../support/fast-check.ts'

test('bit 0 is the highest of the first byte', () => {
  assert.deepEqual(bitsOf(12, [0, 7, 8]), Uint8Array.of(0x81, 0x80))
  const bits = new Uint8Array(2)
  setBit(bits, 9)
  assert.deepEqual(bits, Uint8Array.of(0, 0x40))
  assert.equal(hasBit(bits, 9), true)
  assert.equal(hasBit(bits, 8), false)
  assert.equal(hasBit(bits, 99), false)
})

test('a field of all bits has no spare ones', () => {
  for (const count of [0, 1, 7, 8, 9, 17]) {
    const all = Array.from({ length: count }, (_, index) => index)
    assert.deepEqual(allBits(count), bitsOf(count, all))
  }
})

test('a common prefix ends at the first different bit', () => {
  const own = Uint8Array.of(0xff, 0x00, 0xab)
  assert.equal(commonPrefixBits(own, own), 24)
  for (let bit = 0; bit < 24; bit++) {
    const other = own.slice()
    other[bit >> 3] = (own[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7))
    assert.equal(commonPrefixBits(own, other), bit)
  }
})

test('exactly the bits that were set are there and counted', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(999)), (set) => {
      const bits = bitsOf(1000, set)
      assert.equal(countBits(bits), set.length)
      for (let index = 0; index < 1000; index++) assert.equal(hasBit(bits, index), set.includes(index))
    }),
    { numRuns: 20 }
  )
})
