import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type AddressScope,
  addressKey,
  hostKey,
  mayTell,
  scopeOf,
  siteOf
} from '../../lib/discovery/address-scope.ts'

const scopes: [host: string, scope: AddressScope][] = [
  ['127.0.0.1', 'loopback'],
  ['127.9.9.9', 'loopback'],
  ['::1', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['LOCALHOST', 'loopback'],
  ['10.1.2.3', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['172.32.0.1', 'public'],
  ['192.168.0.1', 'private'],
  ['::ffff:192.168.0.1', 'private'],
  ['169.254.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['100.128.0.1', 'public'],
  ['fe80::1%eth0', 'private'],
  ['fd00::1', 'private'],
  ['fec0::1', 'private'],
  ['192.0.0.8', 'private'],
  ['198.18.0.1', 'private'],
  ['8000::1', 'private'],
  ['64:ff9b::7f00:1', 'loopback'],
  ['64:ff9b::c0a8:1', 'private'],
  ['64:ff9b::808:808', 'public'],
  ['2002:7f00:1::1', 'loopback'],
  ['2002:a9fe:a9fe::', 'private'],
  ['2002:808:808::1', 'public'],
  ['::7f00:1', 'loopback'],
  ['::10.0.0.1', 'private'],
  ['8.8.8.8', 'public'],
  ['2001:db8::1', 'public'],
  ['0.0.0.0', 'unusable'],
  ['0.1.2.3', 'unusable'],
  ['::', 'unusable'],
  ['224.0.0.1', 'unusable'],
  ['239.192.152.143', 'unusable'],
  ['255.255.255.255', 'unusable'],
  ['ff02::1', 'unusable'],
  ['peer.example', 'name'],
  ['', 'name']
]

for (const [host, scope] of scopes) {
  test(`the scope of '${host}' is ${scope}`, () => {
    assert.equal(scopeOf(host), scope)
  })
}

test('an address is accepted only from sources that are as near', () => {
  const told: AddressScope[] = ['loopback', 'private', 'public', 'unusable', 'name']
  const allowed = (toldBy: AddressScope): AddressScope[] => told.filter((scope) => mayTell(toldBy, scope))
  assert.deepEqual(allowed('loopback'), ['loopback', 'private', 'public'])
  assert.deepEqual(allowed('private'), ['private', 'public'])
  assert.deepEqual(allowed('public'), ['public'])
  assert.deepEqual(allowed('name'), ['public'])
})

test('all spellings of an address have one key', () => {
  const key = addressKey({ host: '2001:DB8:0::1', port: 1 })
  assert.equal(key, '[2001:db8::1]:1')
  assert.equal(addressKey({ host: '::ffff:1.2.3.4', port: 5 }), '1.2.3.4:5')
  assert.equal(addressKey({ host: 'Peer.Example', port: 5 }), 'peer.example:5')
})

for (const [host, key, site] of [
  ['9.9.9.9', '9.9.9.9', '9.9.9.9'],
  ['::ffff:9.9.9.9', '9.9.9.9', '9.9.9.9'],
  ['2001:DB8:1:2:3:4:5:6', '2001:db8:1:2::', '2001:db8:1::'],
  ['2001:db8:1:2::', '2001:db8:1:2::', '2001:db8:1::'],
  ['2001:db8:1:3::1', '2001:db8:1:3::', '2001:db8:1::'],
  ['64:ff9b::909:909', '64:ff9b::909:909', '64:ff9b::909:909'],
  ['fe80::1', 'fe80::1', undefined],
  ['fd00::1:2', 'fd00::1:2', undefined],
  ['::1', '::1', undefined],
  ['192.168.0.1', '192.168.0.1', undefined],
  ['Peer.Example', 'peer.example', undefined]
] as const) {
  test(`the host of ${host} has the key ${key}, its site ${site}`, () => {
    assert.equal(hostKey(host), key)
    assert.equal(siteOf(host), site)
  })
}
