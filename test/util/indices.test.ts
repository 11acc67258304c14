import assert from 'node:assert/strict'
import test from 'node:test'
import { PartialPiece } from '../../lib/pieces/partial-piece.ts'
import type { BlockIndex, PeerNumber, PieceIndex } from '../../lib/util/indices.ts'

test('a plain number is accepted anywhere, but a peer passed as a block does not compile', () => {
  const piece: PieceIndex = 7
  const block: BlockIndex = 1
  const peer: PeerNumber = 0
  const partial = new PartialPiece()
  partial.begin(piece, 2)
  partial.request(block, peer)
  assert.equal(partial.by[1], 0)
  // @ts-expect-error: the peer comes last.
  partial.request(peer, block)
  // @ts-expect-error: a piece is no peer.
  partial.request(0, piece)
})
