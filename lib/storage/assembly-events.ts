import type { BlockDigests } from './block-digests.ts'

/** Events and questions of an Assembly. */
export interface AssemblyEvents {
  /** The SHA-1 that a piece should have. */
  expectedHash(piece: number): Uint8Array
  /** A block of a piece that is not whole is there: of a peer, from storage, or of a bad copy. */
  arrived(piece: number): void
  /**
   * The piece is whole and right; it is read from memory until it is written. `digests` gives the SHA-1 of each of its blocks, if it is
   * called within the call; the promise returned says until when they are needed.
   */
  verified(piece: number, digests: () => BlockDigests | Promise<BlockDigests>): Promise<void> | undefined
  /** The piece is whole and wrong; `digestOf` gives the SHA-1 of each of its blocks, within the call. */
  failed(piece: number, digestOf: BlockDigests): void
  /** The piece is in storage. */
  written(piece: number): void
  /** The blocks that were to be kept of a bad copy are not there any more. */
  unkept(piece: number): void
  /** Blocks that were stored earlier could not be read back: nothing of the piece is there. */
  lost(piece: number): void
  /** Storage failed; the piece is not there. */
  error(error: Error, piece: number): void
  /** Blocks of a streamed piece were written: so many more may be asked for. */
  spared(piece: number, blocks: number): void
  /** There is no memory for a block that came: it is to be asked for again. */
  dropped(piece: number, block: number): void
  /** How many blocks of a piece under way peers are asked for. */
  asked(piece: number): number
  /** A piece that was held in memory is streamed from now on: that memory must not be written any more, and nothing more is asked for before `spared`. */
  streamed(piece: number): void
}
