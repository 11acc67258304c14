import assert from 'node:assert/strict'
import test from 'node:test'
import { PeerState } from '../../lib/picker/peer-state.ts'
import { deepMs, maxDepth, QueueDepths, shallowMs } from '../../lib/picker/queue-depths.ts'
import { sourceOf } from './picker-parts.ts'

/**
 * Makes a peer with a measured rate of 1,000 bytes per millisecond and a delay of 40 ms, and no request
 * limit.
 */
function provenPeer(): PeerState {
  const peer = new PeerState(sourceOf(1), new Uint8Array(1), 40, 1000)
  peer.link.arrived(16384, 0, 40 + 16.384, false)
  peer.depth = maxDepth
  peer.maxRequests = maxDepth
  return peer
}

test('new peers share the first blocks', () => {
  const depths = new QueueDepths()
  const peer = new PeerState(sourceOf(1), new Uint8Array(1), 40, 1000)
  const alone = depths.room(peer, 1, true)
  assert.ok(alone > depths.room(peer, 8, true))
  assert.ok(depths.room(peer, 1000, true) > 0)
})

test('queue depth is small while a stream waits, and filled in larger batches while none does', () => {
  const depths = new QueueDepths()
  const peer = provenPeer()
  assert.ok(depths.room(peer, 1, false) > 3 * depths.room(peer, 1, true))
  for (let block = 0; block < 16; block++) peer.push(0, block, 16384, 0)
  assert.equal(depths.isWorthwhile(3, peer, true), true)
  assert.equal(depths.isWorthwhile(3, peer, false), false)
  assert.equal(depths.isWorthwhile(9, peer, false), true)
})

test('while memory is short the queue depth shrinks as for a stream, and grows again afterwards', () => {
  const depths = new QueueDepths()
  const peer = provenPeer()
  const deep = depths.room(peer, 1, false)
  let now = 0
  for (; now < 5000; now += 10) depths.adapt(true, now)
  const short = depths.room(peer, 1, false)
  assert.ok(short < deep / 3, `${short} of ${deep}`)
  assert.ok(short >= depths.room(peer, 1, true) - 1)
  for (const end = now + 100_000; now < end; now += 10) depths.adapt(false, now)
  assert.equal(depths.room(peer, 1, false), deep)
  assert.ok(deepMs > shallowMs)
})

test('a snubbed peer gets one request at a time', () => {
  const depths = new QueueDepths()
  const peer = provenPeer()
  peer.snubbed = true
  assert.equal(depths.room(peer, 1, false), 1)
  peer.push(0, 0, 16384, 0)
  assert.equal(depths.room(peer, 1, false), 0)
})
