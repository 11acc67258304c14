import assert from 'node:assert/strict'
import test from 'node:test'
import { PeerState } from '../../lib/picker/peer-state.ts'
import { deepMs, maxDepth, Pipelines, shallowMs } from '../../lib/picker/pipelines.ts'
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
  const pipelines = new Pipelines()
  const peer = new PeerState(sourceOf(1), new Uint8Array(1), 40, 1000)
  const alone = pipelines.room(peer, 1, true)
  assert.ok(alone > pipelines.room(peer, 8, true))
  assert.ok(pipelines.room(peer, 1000, true) > 0)
})

test('queue depth is small while a stream waits, and filled in larger batches while none does', () => {
  const pipelines = new Pipelines()
  const peer = provenPeer()
  assert.ok(pipelines.room(peer, 1, false) > 3 * pipelines.room(peer, 1, true))
  for (let block = 0; block < 16; block++) peer.push(0, block, 16384, 0)
  assert.equal(pipelines.isWorthwhile(3, peer, true), true)
  assert.equal(pipelines.isWorthwhile(3, peer, false), false)
  assert.equal(pipelines.isWorthwhile(9, peer, false), true)
})

test('while memory is short the queue depth shrinks as for a stream, and grows again afterwards', () => {
  const pipelines = new Pipelines()
  const peer = provenPeer()
  const deep = pipelines.room(peer, 1, false)
  let now = 0
  for (; now < 5000; now += 10) pipelines.adapt(true, now)
  const short = pipelines.room(peer, 1, false)
  assert.ok(short < deep / 3, `${short} of ${deep}`)
  assert.ok(short >= pipelines.room(peer, 1, true) - 1)
  for (const end = now + 100_000; now < end; now += 10) pipelines.adapt(false, now)
  assert.equal(pipelines.room(peer, 1, false), deep)
  assert.ok(deepMs > shallowMs)
})

test('a snubbed peer gets one request at a time', () => {
  const pipelines = new Pipelines()
  const peer = provenPeer()
  peer.snubbed = true
  assert.equal(pipelines.room(peer, 1, false), 1)
  peer.push(0, 0, 16384, 0)
  assert.equal(pipelines.room(peer, 1, false), 0)
})
