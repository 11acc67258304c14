import assert from 'node:assert/strict'
import test from 'node:test'
import { mayName } from '../../lib/tracker/host-guard.ts'

for (const [tracker, peer, may] of [
  ['global', '9.9.9.9', true],
  ['global', '2a03::2', true],
  ['global', '192.168.0.9', false],
  ['global', '169.254.169.254', false],
  ['global', 'fd00::1', false],
  ['global', '127.0.0.1', false],
  ['global', '::ffff:127.0.0.1', false],
  ['global', '64:ff9b::c0a8:1', false],
  ['global', '0.0.0.0', false],
  ['global', 'localhost', false],
  ['global', 'peer.example', true],
  ['private', '192.168.0.9', true],
  ['private', '9.9.9.9', true],
  ['private', '127.0.0.1', false],
  ['private', 'LOCALHOST', false],
  ['loopback', '127.0.0.1', true],
  ['loopback', '10.0.0.1', true],
  ['loopback', 'localhost', true]
] as const) {
  test(`a ${tracker} tracker ${may ? 'may' : 'may not'} name ${peer}`, () => {
    assert.equal(mayName(tracker, peer), may)
  })
}
