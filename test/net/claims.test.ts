import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Claims } from '../../lib/net/claims.ts'
import type { DatagramClaim } from '../../lib/net/datagram-port.ts'

function claimOf(firstBytes?: readonly number[]): DatagramClaim {
  return { matches: () => true, receive: () => {}, ...(firstBytes === undefined ? {} : { firstBytes }) }
}

test('a datagram is offered to claims of its first byte and of any byte, in order of creation', () => {
  const [dht, any, utp, also] = [claimOf([0x64]), claimOf(), claimOf([0x01, 0x11]), claimOf([0x11])]
  const claims = new Claims()
  for (const claim of [dht, any, utp, also]) claims.add(claim)
  const table: readonly (readonly [readonly number[], readonly DatagramClaim[]])[] = [
    [
      [0x64, 1],
      [dht, any]
    ],
    [[0x01], [any, utp]],
    [
      [0x11, 0x64],
      [any, utp, also]
    ],
    [[0xff], [any]],
    [[], [any]]
  ]
  for (let round = 0; round < 2; round++)
    for (const [bytes, expected] of table) assert.deepEqual(claims.for(Uint8Array.from(bytes)), expected)
  claims.delete(any)
  assert.deepEqual(claims.for(Uint8Array.of(0x01)), [utp])
  assert.deepEqual(claims.for(new Uint8Array()), [])
  assert.deepEqual([claims.has(any), claims.has(utp)], [false, true])
  claims.add(any)
  assert.deepEqual(claims.for(Uint8Array.of(0x01)), [utp, any])
  claims.clear()
  assert.deepEqual(claims.for(Uint8Array.of(0x01)), [])
})
