import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import type { BlockDigests } from './block-digests.ts'

/** Callbacks of an {@link Assembly}. */
export interface AssemblyEvents {
  /** Called when a block of an incomplete piece arrived: from a peer, from storage, or from a bad copy. */
  arrived(piece: PieceIndex): void
  /**
   * Called when the piece is complete and its hash matches; reads come from memory until it is written. `digests` returns the SHA-1 of each
   * block and must be called before this callback returns. The returned promise resolves when the digests are no longer needed.
   */
  verified(piece: PieceIndex, digests: () => BlockDigests | Promise<BlockDigests>): Promise<void> | undefined
  /**
   * Called when the piece is complete and its hash does not match. `digestOf` returns the SHA-1 of each block, only until this callback
   * returns.
   */
  failed(piece: PieceIndex, digestOf: BlockDigests): void
  /** Called when the piece is stored. */
  written(piece: PieceIndex): void
  /** Called when a begun piece was dropped, with its blocks. */
  abandoned(piece: PieceIndex): void
  /** Called when blocks of the piece were discarded; unverified bytes that readers got from them are wrong. */
  invalidated(piece: PieceIndex): void
  /** Called when blocks stored earlier could not be read back; the whole piece is missing. */
  lost(piece: PieceIndex): void
  /** Called when storage failed; the piece is missing. */
  error(error: Error, piece: PieceIndex): void
  /** Called when blocks of a streamed piece were written, so that as many more may be requested. */
  granted(piece: PieceIndex, blocks: number): void
  /** Called when there was no memory for a block that arrived; it must be requested again. */
  dropped(piece: PieceIndex, block: BlockIndex): void
  /** Called when a piece held in memory is streamed from now on; nothing more is requested before `granted`. */
  streamed(piece: PieceIndex): void
}
