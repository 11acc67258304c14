import assert from 'node:assert/strict'
import test from 'node:test'
import { Interest } from '../../lib/picker/interest.ts'
import { PeerState } from '../../lib/picker/peer-state.ts'
import { seededRandom } from '../sim/event-loop.ts'
import { sourceOf } from './picker-parts.ts'

function peerOf(id: number, pieceCount: number, pieces: readonly number[] | 'all'): PeerState {
  const peer = new PeerState(sourceOf(id), new Uint8Array(Math.ceil(pieceCount / 8)), 50, 300)
  if (pieces === 'all') peer.seed = true
  else
    for (const piece of pieces) peer.bits[piece >> 3] = (peer.bits[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
  return peer
}

test('peers are of interest as long as they have a wanted piece', () => {
  const told: string[] = []
  const interest = new Interest(20, ({ id, interested }) => told.push(`${id} ${interested}`))
  const [seed, some, none] = [peerOf(1, 20, 'all'), peerOf(2, 20, [3, 19]), peerOf(3, 20, [])]
  for (const peer of [seed, some, none]) interest.add(peer)
  assert.deepEqual(told, [])
  interest.change([3, 4, 19], [])
  assert.deepEqual(told.splice(0).sort(), ['1 true', '2 true'])
  none.bits[0] = 0x08
  interest.gained(none, 4)
  assert.deepEqual(told.splice(0), ['3 true'])
  interest.change([], [3])
  assert.deepEqual(told, [])
  interest.change([], [19])
  assert.deepEqual(told.splice(0), ['2 false'])
  interest.remove(none)
  interest.change([], [4])
  assert.deepEqual(told.splice(0), ['1 false'])
  assert.equal(interest.count, 0)
})

test('in any sequence of changes, interest equals a full count', () => {
  const random = seededRandom(4)
  // More pieces than are checked one by one, then fewer.
  const pieceCount = 150
  const interest = new Interest(pieceCount, () => {})
  const wanted = new Set<number>()
  const peers: PeerState[] = []
  for (let step = 0; step < 3000; step++) {
    const piece = Math.floor(random() * pieceCount)
    const peer = peers[Math.floor(random() * peers.length)]
    const what = random()
    if (what < 0.3) {
      if (wanted.delete(piece)) interest.change([], [piece])
    } else if (what < 0.6) {
      if (!wanted.has(piece)) interest.change([piece], [])
      wanted.add(piece)
    } else if (what < 0.7) {
      const added = peerOf(step, pieceCount, random() < 0.2 ? 'all' : [piece])
      peers.push(added)
      interest.add(added)
    } else if (peer !== undefined && what < 0.75) {
      peers.splice(peers.indexOf(peer), 1)
      interest.remove(peer)
    } else if (peer !== undefined && !peer.seed) {
      peer.bits[piece >> 3] = (peer.bits[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
      interest.gained(peer, piece)
    }
    assert.equal(interest.count, wanted.size)
    for (const one of peers) {
      const expected = [...wanted].some((some) => one.has(some))
      if (one.interested !== expected) assert.fail(`peer ${one.id} after ${step} steps`)
    }
  }
})
