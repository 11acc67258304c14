import type { PieceIndex } from '../util/indices.ts'

/** Memory for the blocks of partial pieces. */
export interface BlockSink {
  /**
   * Reserves memory for a piece before its first request. Returns how many blocks may be requested: `Infinity` for a piece that is held in
   * memory, fewer for one that is streamed to storage, 0 when there is no memory now.
   */
  reserve(piece: PieceIndex, urgent: boolean): number
  /** Reserves memory for more blocks of a streamed piece; returns how many may be requested, 0 for none now. */
  extend(piece: PieceIndex, urgent: boolean): number
  /** Releases the reserved memory of `blocks` blocks of a streamed piece, which will not be requested now. */
  giveBack(piece: PieceIndex, blocks: number): void
  /** Begins to stream a piece that is held in memory; returns false when that is not possible. */
  stream(piece: PieceIndex): boolean
  /** Drops a partial piece, and releases its memory. */
  abandon(piece: PieceIndex): void
  /**
   * Writes the received blocks of a partial piece to storage and releases its memory; `reserve` reads them back. Returns false when that is not
   * possible.
   */
  spill(piece: PieceIndex): boolean
  /** Announces that memory may be reclaimed from pieces that could not release it before. */
  reclaimable(): void
}
