import assert from 'node:assert/strict'
import test from 'node:test'
import { formatPcpMap, isPcpAnnouncement, parsePcp } from '../../lib/nat/pcp.ts'

const nonce = Buffer.from('abcdefghijkl')

test('a MAP request has the 60 bytes of RFC 6887', () => {
  const bytes = formatPcpMap({
    ...{ local: '192.168.1.2', nonce, transport: 'udp', port: 6881, externalPort: 6890 },
    lifetimeSeconds: 3600
  })
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    [
      '02010000 00000e10 00000000000000000000ffffc0a80102',
      '6162636465666768696a6b6c 11000000 1ae1 1aea 00000000000000000000ffff00000000'
    ]
      .join('')
      .replaceAll(' ', '')
  )
})

test('the answer of miniupnpd is read', () => {
  const text =
    '0281000000000e1000000001000000000000000000000000616263646566' +
    '6768696a6b6c060000001ae11ae200000000000000000000ffff554e0001'
  const answer = parsePcp(Buffer.from(text, 'hex'))
  assert.deepEqual(
    { ...answer, map: { ...answer?.map, nonce: undefined } },
    {
      ...{ version: 2, opcode: 1, result: 0, lifetimeSeconds: 3600, epoch: 1 },
      map: {
        nonce: undefined,
        transport: 'tcp',
        port: 6881,
        externalPort: 6882,
        externalAddress: '85.78.0.1'
      }
    }
  )
  assert.deepEqual(Buffer.from(answer?.map?.nonce ?? []), nonce)
})

test('requests, other versions, and short and long packets are no answers', () => {
  const answer = Buffer.alloc(60).fill(2, 0, 1).fill(0x81, 1, 2)
  assert.ok(parsePcp(answer) !== undefined)
  for (const bytes of [
    Buffer.from(answer).fill(1, 1, 2),
    Buffer.from(answer).fill(0, 0, 1),
    Buffer.from(answer).fill(1, 0, 1),
    answer.subarray(0, 23),
    Buffer.concat([answer, Buffer.alloc(1041)])
  ])
    assert.equal(parsePcp(bytes), undefined)
  assert.equal(parsePcp(answer.subarray(0, 59))?.map, undefined)
})

test('an announcement is told from other answers', () => {
  const of = (second: number, result = 0) => {
    const answer = parsePcp(Buffer.alloc(24).fill(2, 0, 1).fill(second, 1, 2).fill(result, 3, 4))
    return answer !== undefined && isPcpAnnouncement(answer)
  }
  assert.deepEqual([of(0x80), of(0x81), of(0x80, 1)], [true, false, false])
})
