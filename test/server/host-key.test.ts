import assert from 'node:assert/strict'
import test from 'node:test'
import { hostKey } from '../../lib/server/host-key.ts'

test('a host is an address, for public IPv6 a /64, and local programs have none', () => {
  const table: readonly (readonly [address: string | undefined, key: string | undefined])[] = [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['2001:db8:1:2:ffff::1', '2001:db8:1:2::'],
    ['fd00::1', 'fd00::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['64:ff9b::203.0.113.7', '64:ff9b::cb00:7107'],
    ['192.168.1.2', '192.168.1.2'],
    ['127.0.0.1', undefined],
    ['127.4.4.4', undefined],
    ['::1', undefined],
    ['::ffff:127.0.0.1', undefined],
    // A connection through a socket file.
    [undefined, undefined]
  ]
  for (const [remoteAddress, key] of table) assert.equal(hostKey({ remoteAddress }), key, remoteAddress)
})
