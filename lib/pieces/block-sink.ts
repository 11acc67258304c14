import type { PieceIndex } from '../util/indices.ts'

/** Memory for the blocks of pieces, from the first request on. */
export interface BlockSink {
  /**
   * Sets memory aside for a piece before its first request. Returns how many blocks may be asked for: `Infinity` where all of it is held
   * in memory, fewer where it is streamed to storage, 0 when there is no memory now.
   */
  reserve(piece: PieceIndex, urgent: boolean): number
  /** Sets memory aside for more blocks of a streamed piece; returns how many may be asked for, 0 for none now. */
  extend(piece: PieceIndex, urgent: boolean): number
  /** So many blocks of a streamed piece will not be asked for now; their memory may go. */
  giveBack(piece: PieceIndex, blocks: number): void
  /** Streams a piece that is held in memory from now on; false when that is not possible. */
  stream(piece: PieceIndex): boolean
  /** The piece is no longer being fetched; its memory may go. */
  abandon(piece: PieceIndex): void
  /**
   * The same, but the blocks that came are kept in storage and read back when the piece is reserved again; false when that
   * is not possible.
   */
  spill(piece: PieceIndex): boolean
  /** Pieces may be given up for others now that could not be before. */
  reclaimable(): void
}
