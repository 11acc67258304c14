import assert from 'node:assert/strict'
import test from 'node:test'
import { PeerState } from '../../lib/picker/peer-state.ts'
import { sourceOf } from './picker-parts.ts'

const peerOf = (): PeerState => new PeerState(sourceOf(1), new Uint8Array([0b1010_0000]), 100, 16.384)
const ask = (peer: PeerState, block: number): void => peer.push(0, block, 16_384, 0)

test('outstanding blocks are expected one after the other', () => {
  const peer = peerOf()
  assert.equal(peer.etaOfNext(16_384, 0), 1100)
  ask(peer, 0)
  ask(peer, 1)
  assert.equal(peer.etaOf(0, 0), 1100)
  assert.equal(peer.etaOf(1, 0), 2100)
  assert.equal(peer.etaOfNext(16_384, 0), 3100)
  assert.equal(peer.outstanding.bytes, 32_768)
  assert.equal(peer.indexOf(0, 1), 1)
  assert.equal(peer.indexOf(1, 1), -1)
  peer.take(7, true, 0)
  assert.equal(peer.outstanding.length, 2)
  peer.take(0, true, 1100)
  assert.equal(peer.outstanding.at(0)?.block, 1)
  assert.equal(peer.etaOf(0, 1100), 2100)
  peer.take(0, true, 2100)
  assert.equal(peer.link.headEta, Number.POSITIVE_INFINITY)
  assert.equal(peer.outstanding.bytes, 0)
})

test('the estimate of a silent peer recedes', () => {
  const peer = peerOf()
  ask(peer, 0)
  // It has never delivered, which counts against it.
  assert.equal(peer.etaOf(0, 2100), 3400)
  peer.link.samples = 1
  assert.equal(peer.etaOf(0, 2100), 3100)
  assert.equal(peer.etaOf(0, 4100), 7100)
  assert.equal(peer.link.overdueMs(4100), 3000)
})

test('a peer serves its pieces, unless it chokes or has rejected', () => {
  const peer = peerOf()
  assert.equal(peer.serves(0), false)
  peer.allow(0)
  peer.allow(1)
  assert.deepEqual([peer.serves(0), peer.serves(1), peer.serves(2)], [true, false, false])
  peer.choked = false
  assert.deepEqual([peer.serves(0), peer.serves(1), peer.serves(2)], [true, false, true])
  peer.refuse(2, 1000)
  assert.deepEqual([peer.serves(0), peer.serves(2), peer.servesAny], [true, false, true])
  assert.equal(peer.retryAt, 1250)
  peer.retry()
  assert.equal(peer.serves(2), true)
  peer.refuse(2, 2000)
  assert.equal(peer.retryAt, 2500)
  for (let piece = 0; piece < 100; piece++) peer.refuse(piece, 2000)
  assert.equal(peer.servesAny, false)
  peer.retry()
  peer.delivered()
  peer.refuse(2, 3000)
  assert.equal(peer.retryAt, 3250)
})

test('remembers a bounded number of cancelled blocks', () => {
  const peer = peerOf()
  for (let key = 0; key < 5000; key++) peer.remember(key)
  assert.equal(peer.wasCancelled(4999), true)
  assert.equal(peer.wasCancelled(0), false)
  assert.equal(peer.answered(4999), true)
  assert.equal(peer.answered(4999), false)
})

test('a full bitfield is full, whatever its spare bits', () => {
  const bits = new Uint8Array([0xff, 0xe0])
  const peer = new PeerState(sourceOf(1), bits, 100, 300)
  assert.deepEqual([peer.hasAll(8), peer.hasAll(11), peer.hasAll(12)], [true, true, false])
  bits[0] = 0xfe
  assert.equal(peer.hasAll(11), false)
})
