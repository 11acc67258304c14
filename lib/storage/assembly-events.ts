import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import type { BlockDigests } from './block-digests.ts'

/** Events and questions of an Assembly. */
export interface AssemblyEvents {
  /** A block of a piece that is not whole is there: of a peer, from storage, or of a bad copy. */
  arrived(piece: PieceIndex): void
  /**
   * The piece is whole and right; it is read from memory until it is written. `digests` gives the SHA-1 of each of its blocks, if it is
   * called within the call; the promise returned says until when they are needed.
   */
  verified(piece: PieceIndex, digests: () => BlockDigests | Promise<BlockDigests>): Promise<void> | undefined
  /** The piece is whole and wrong; `digestOf` gives the SHA-1 of each of its blocks, within the call. */
  failed(piece: PieceIndex, digestOf: BlockDigests): void
  /** The piece is in storage. */
  written(piece: PieceIndex): void
  /** A piece is given up with what came of it. */
  abandoned(piece: PieceIndex): void
  /** Blocks that came of a piece are not there any more: bytes of them that were read unverified do not count. */
  discarded(piece: PieceIndex): void
  /** Blocks that were stored earlier could not be read back: nothing of the piece is there. */
  lost(piece: PieceIndex): void
  /** Storage failed; the piece is not there. */
  error(error: Error, piece: PieceIndex): void
  /** Blocks of a streamed piece were written: so many more may be asked for. */
  spared(piece: PieceIndex, blocks: number): void
  /** There is no memory for a block that came: it is to be asked for again. */
  dropped(piece: PieceIndex, block: BlockIndex): void
  /** A piece that was held in memory is streamed from now on: nothing more is asked for before `spared`. */
  streamed(piece: PieceIndex): void
}
