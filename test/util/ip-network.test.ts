import assert from 'node:assert/strict'
import test from 'node:test'
import { networkKey } from '../../lib/util/ip-network.ts'

for (const [same, hosts] of [
  [true, ['203.0.113.7', '203.0.113.255']],
  [false, ['203.0.113.7', '203.0.114.7']],
  [true, ['192.168.1.1', '::ffff:192.168.1.2']],
  [true, ['203.0.113.7', '64:ff9b::203.0.113.9']],
  [false, ['64:ff9b::203.0.113.7', '64:ff9b::203.0.114.7']],
  [true, ['2001:db8:1:2::1', '2001:DB8:1:ffff::2']],
  [false, ['2001:db8:1::1', '2001:db8:2::1']],
  [true, ['fe80::1%eth0', 'fe80::2%eth0']]
] as const) {
  test(`${hosts.join(' and ')} are ${same ? 'in one network' : 'in two networks'}`, () => {
    const [a, b] = hosts.map(networkKey)
    assert.ok(a !== undefined && b !== undefined)
    assert.equal(a === b, same)
  })
}

test('a host name has no network', () => assert.equal(networkKey('peer.example'), undefined))
