import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commonBits } from '../../lib/picker/common-bits.ts'

function fieldOf(length: number, bits: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(length)
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  return bytes
}

for (const [what, length, some, others, from, most, expected] of [
  ['all from the start', 16, [3, 64, 127], [3, 127], 0, 64, [3, 127]],
  ['from the middle on and around', 16, [3, 64, 127], [3, 64, 127], 9, 64, [127, 3, 64]],
  ['none where they have none in common', 64, [8, 9], [10, 500], 0, 64, []],
  ['bits after many empty bytes', 1000, [7999], [7999], 1, 64, [7999]],
  ['no more than a byte beyond the limit', 16, [0, 1, 2, 100], [0, 1, 2, 100], 0, 2, [0, 1, 2]],
  ['fields of a length that is no multiple of four', 5, [39, 0], [39, 0], 4, 64, [39, 0]]
] as const) {
  test(`common bits: ${what}`, () => {
    const visited: number[] = []
    const count = commonBits(fieldOf(length, some), fieldOf(length, others), from, most, (bit) =>
      visited.push(bit)
    )
    assert.deepEqual(visited, expected)
    assert.equal(count, expected.length)
  })
}
