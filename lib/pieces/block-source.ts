import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'

/** A peer, as far as it sends blocks. */
export interface BlockSource {
  /** Number that is never used again. */
  readonly id: PeerNumber
  /** The host that bad blocks are blamed on. */
  readonly banKey: string
  /** Asks for a block. */
  request(piece: PieceIndex, block: BlockIndex): void
  /** Cancels a request. */
  cancel(piece: PieceIndex, block: BlockIndex): void
  /** Tells the source whether it has something that we want. */
  interest(interested: boolean): void
  /** The memory that the source writes a block into is needed otherwise: the rest of the block goes to memory of its own. */
  detach(): void
}
