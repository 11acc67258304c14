import assert from 'node:assert/strict'
import test from 'node:test'
import { mayName } from '../../lib/tracker/host-guard.ts'

for (const [tracker, peer, may] of [
  ['tracker.example', '9.9.9.9', true],
  ['tracker.example', '192.168.0.9', true],
  ['tracker.example', '127.0.0.1', false],
  ['tracker.example', '::1', false],
  ['tracker.example', '::ffff:127.0.0.1', false],
  ['9.9.9.9', '192.168.0.9', false],
  ['2a03::1', 'fd00::1', false],
  ['2a03::1', '2a03::2', true],
  ['192.168.0.1', '192.168.0.9', true],
  ['192.168.0.1', '127.0.0.1', false],
  ['127.0.0.1', '127.0.0.1', true],
  ['localhost', '127.0.0.1', true],
  ['::1', '10.0.0.1', true],
  ['9.9.9.9', 'peer.example', true]
] as const) {
  test(`a tracker on ${tracker} ${may ? 'may' : 'may not'} name ${peer}`, () => {
    assert.equal(mayName(tracker, peer), may)
  })
}
