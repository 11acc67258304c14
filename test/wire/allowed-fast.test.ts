import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowedFastSet } from '../../lib/wire/allowed-fast.ts'

const ones = new Uint8Array(20).fill(0xaa)
const other = Uint8Array.of(0xff, ...new Uint8Array(19))
const cases: [host: string, infoHash: Uint8Array, pieceCount: number, size: number, expected: number[]][] = [
  ['80.4.4.200', ones, 1313, 7, [1059, 431, 808, 1217, 287, 376, 1188]],
  ['80.4.4.200', ones, 1313, 9, [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]],
  ['::ffff:80.4.4.7', ones, 1313, 3, [1059, 431, 808]],
  ['192.168.0.1', other, 1000, 10, [686, 459, 278, 200, 404, 834, 64, 203, 760, 950]],
  ['10.0.0.1', other, 1000, 10, [568, 188, 466, 452, 550, 662, 109, 226, 398, 11]],
  ['10.0.0.1', other, 9, 10, [8, 6, 7, 5, 1, 4, 0, 2, 3]],
  ['10.0.0.1', other, 0, 10, []],
  ['2001:db8::1', other, 1000, 10, []],
  ['host.example', other, 1000, 10, []]
]
for (const [host, infoHash, pieceCount, size, expected] of cases) {
  test(`the ${size} allowed-fast pieces of ${host} among ${pieceCount}`, () => {
    assert.deepEqual(allowedFastSet(host, infoHash, pieceCount, size), expected)
  })
}
