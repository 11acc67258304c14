import assert from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import test from 'node:test'
import { localInterfaces, sharesNetwork } from '../../lib/net/local-interfaces.ts'

test('only the interfaces that the host option selects are used', () => {
  assert.ok(localInterfaces(4, '127.0.0.1').every(({ internal }) => internal))
  assert.equal(localInterfaces(4, '127.0.0.1').length > 0, true)
  assert.deepEqual(localInterfaces(6, '127.0.0.1'), [])
  assert.deepEqual(localInterfaces(4, '203.0.113.99'), [])
  for (const family of [4, 6] as const) {
    assert.ok(localInterfaces(family).every(({ internal }) => !internal))
    assert.deepEqual(localInterfaces(family), localInterfaces(family, '::'))
  }
})

test('an address is in the network of an interface whose prefix it shares, to the bit', () => {
  const one = { name: 'eth0', internal: false, multicastName: 'eth0' }
  const four = [{ ...one, address: '10.1.64.1', prefixLength: 18 }]
  assert.equal(sharesNetwork('10.1.127.255', four), true)
  assert.equal(sharesNetwork('::ffff:10.1.64.2', four), true)
  assert.equal(sharesNetwork('10.1.128.1', four), false)
  assert.equal(sharesNetwork('10.0.64.1', four), false)
  assert.equal(sharesNetwork('fd00::1', four), false)
  assert.equal(sharesNetwork('name.example', four), false)
  const six = [{ ...one, address: 'fd00:0:0:8000::1', prefixLength: 49 }]
  assert.equal(sharesNetwork('fd00:0:0:ffff::2', six), true)
  assert.equal(sharesNetwork('fd00:0:0:7fff::1', six), false)
  assert.equal(sharesNetwork('10.1.64.1', []), false)
})

test('an interface without a known prefix reaches no network but itself', (t) => {
  const address = { netmask: '', mac: '', internal: false, cidr: null }
  t.mock.method(os, 'networkInterfaces', () => ({
    odd: [
      { ...address, family: 'IPv4', address: '10.1.2.3' },
      { ...address, family: 'IPv6', address: 'fd00::1', scopeid: 0 }
    ]
  }))
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
  assert.deepEqual([...localInterfaces(4), ...localInterfaces(6)], [])
  const four = localInterfaces(4, '10.1.2.3')
  assert.deepEqual([sharesNetwork('10.1.2.3', four), sharesNetwork('10.1.2.2', four)], [true, false])
  const six = localInterfaces(6, 'fd00::1')
  assert.deepEqual([sharesNetwork('fd00::1', six), sharesNetwork('fd00::2', six)], [true, false])
})
