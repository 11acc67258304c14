import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32c } from '../../lib/util/crc32c.ts'

test('the check value of CRC-32C', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(new Uint8Array(0)), 0)
})
