import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'

/** A peer as the picker sees it. */
export interface BlockSource {
  /** Number that is never reused. */
  readonly id: PeerNumber
  /** Host that is banned for bad blocks. */
  readonly banKey: string
  request(piece: PieceIndex, block: BlockIndex): void
  /** Cancels a request. */
  cancel(piece: PieceIndex, block: BlockIndex): void
  /** Tells the peer whether we are interested. */
  interest(interested: boolean): void
  /** Detaches a half-received block from the piece's buffer: it is moved to the decoder's own memory, and continues there. */
  detach(): void
}
