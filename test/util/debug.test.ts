import assert from 'node:assert/strict'
import test from 'node:test'
import createDebug from 'debug'
import { debug } from '../../lib/util/debug.ts'

test('loggers have the name of the package and are off unless asked for', () => {
  const log = debug('nothing-in-particular')
  assert.equal(log.namespace, 'piecewise:nothing-in-particular')
  const before = createDebug.disable()
  assert.equal(log.enabled, false)
  createDebug.enable('piecewise:*')
  assert.equal(log.enabled, true)
  createDebug.enable(before)
})
