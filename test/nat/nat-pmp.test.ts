import assert from 'node:assert/strict'
import test from 'node:test'
import { formatAddressRequest, formatNatPmp, parseNatPmp } from '../../lib/nat/nat-pmp.ts'

test('requests have the bytes of RFC 6886', () => {
  assert.equal(Buffer.from(formatAddressRequest()).toString('hex'), '0000')
  const lease = { port: 6881, externalPort: 6890, lifetimeSeconds: 7200 }
  assert.equal(
    Buffer.from(formatNatPmp({ transport: 'udp', ...lease })).toString('hex'),
    '000100001ae11aea00001c20'
  )
  assert.equal(formatNatPmp({ transport: 'tcp', ...lease })[1], 2)
})

test('answers are read', () => {
  const parse = (hex: string) => parseNatPmp(Buffer.from(hex, 'hex'))
  const none = { externalAddress: undefined, map: undefined }
  assert.deepEqual(parse('0080000000000001554e0001'), {
    ...{ ...none, kind: 'address', result: 0, epoch: 1, externalAddress: '85.78.0.1' }
  })
  assert.deepEqual(parse('00810000000000011ae21ae300001c20'), {
    ...{ ...none, kind: 'udp', result: 0, epoch: 1 },
    map: { port: 6882, externalPort: 6883, lifetimeSeconds: 7200 }
  })
  // The short answer of a router that does not know PCP.
  assert.deepEqual(parse('0081000100000007'), { ...none, kind: 'udp', result: 1, epoch: 7 })
  for (const hex of [
    '',
    '0000',
    '0001000000000001',
    '00800000',
    '0080000000000001',
    '0081000000000001',
    '0280000000000001'
  ])
    assert.equal(parse(hex), undefined)
})
