import type { Layout } from '../metainfo/layout.ts'
import { blockLength } from '../metainfo/layout.ts'
import { asError } from '../util/errors.ts'
import type { PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { writeBlocks } from './block-runs.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { PieceBuffer } from './piece-buffer.ts'
import type { Storage } from './storage.ts'
import { StreamedPiece } from './streamed-piece.ts'

/** Moves blocks of incomplete pieces to storage, so that others have their memory, and back; the table of pieces says which are there. */
export class SpilledPieces {
  readonly #layout: Layout
  readonly #storage: Storage
  /** Blocks that are being read back. */
  readonly #returning = new LazyMap<number, readonly number[]>()
  /** Writes of pieces that were spilled: what is read back must have been written. */
  readonly #spills = new LazyMap<number, Promise<unknown>>()

  constructor(layout: Layout, storage: Storage) {
    this.#layout = layout
    this.#storage = storage
  }

  /** Whether blocks of a piece are being read back. */
  isReturning(piece: PieceIndex): boolean {
    return this.#returning.has(piece)
  }

  /** Resolves when the blocks of a piece that is being spilled are in storage. */
  spilling(piece: PieceIndex): Promise<unknown> | undefined {
    return this.#spills.get(piece)
  }

  /** Writes the blocks of a piece under way, whose memory is of a pool; resolves with those that are in storage then. */
  async save(begun: PieceBuffer | StreamedPiece, pool: BufferPool): Promise<readonly number[]> {
    const returning = this.#returning.get(begun.piece) ?? []
    const blocks = [...new Set([...begun.present(), ...returning])].sort((a, b) => a - b)
    if (blocks.length === 0) return blocks
    if (!(begun instanceof StreamedPiece)) {
      await pool.pinned(begun, writeBlocks(this.#layout, this.#storage, begun))
      return blocks
    }
    await begun.written()
    return begun.ended ? [] : blocks
  }

  /** Writes the blocks of a piece that are there; resolves with the fault if storage has failed. */
  async spill(buffer: PieceBuffer): Promise<Error | undefined> {
    const { piece } = buffer
    const spill = this.#write(buffer, this.#spills.get(piece))
    this.#spills.set(piece, spill)
    const failure = await spill
    if (this.#spills.get(piece) === spill) this.#spills.delete(piece)
    return failure
  }

  /**
   * Reads blocks of a piece back into its memory and tells `filled` of each; while that returns false the piece is not wanted any more,
   * and it is also asked without a block. Resolves with false when storage has lost them.
   */
  async readBack(
    buffer: PieceBuffer,
    blocks: readonly number[],
    filled: (block?: number) => boolean
  ): Promise<boolean> {
    const { piece } = buffer
    this.#returning.set(piece, blocks)
    // Claimed at once, so that no sender writes there.
    const targets = blocks.map((block) => ({ block, target: buffer.claim(block) }))
    try {
      await this.#spills.get(piece)
      for (const { block, target } of targets) {
        if (!filled()) return true
        if (target === undefined) continue
        const at = this.#layout.pieceOffset(piece) + block * blockLength
        const got = await this.#storage.read(at, target).catch(() => 0)
        if (!filled()) return true
        if (got < target.length) return false
        filled(block)
      }
      return true
    } finally {
      if (this.#returning.get(piece) === blocks) this.#returning.delete(piece)
    }
  }

  async #write(buffer: PieceBuffer, before: Promise<unknown> | undefined): Promise<Error | undefined> {
    await before
    try {
      await writeBlocks(this.#layout, this.#storage, buffer)
      return undefined
    } catch (thrown) {
      return asError(thrown)
    }
  }
}
