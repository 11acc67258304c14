import assert from 'node:assert/strict'
import test from 'node:test'
import { localInterfaces } from '../../lib/net/local-interfaces.ts'

test('of interfaces those are used that the host says', () => {
  assert.ok(localInterfaces(4, '127.0.0.1').every(({ internal }) => internal))
  assert.equal(localInterfaces(4, '127.0.0.1').length > 0, true)
  assert.deepEqual(localInterfaces(6, '127.0.0.1'), [])
  assert.deepEqual(localInterfaces(4, '203.0.113.99'), [])
  for (const family of [4, 6] as const) {
    assert.ok(localInterfaces(family).every(({ internal }) => !internal))
    assert.deepEqual(localInterfaces(family), localInterfaces(family, '::'))
  }
})
