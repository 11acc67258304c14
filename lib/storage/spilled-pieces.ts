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

/**
 * Moves blocks of incomplete pieces to storage, to free memory for others, and reads them back. The piece table records which blocks are
 * stored.
 */
export class SpilledPieces {
  readonly #layout: Layout
  readonly #storage: Storage
  /** Blocks being read back, by piece. */
  readonly #returning = new LazyMap<number, readonly number[]>()
  /** Running writes, by piece; reading back waits for them. */
  readonly #spills = new LazyMap<number, Promise<unknown>>()

  constructor(layout: Layout, storage: Storage) {
    this.#layout = layout
    this.#storage = storage
  }

  /** Returns whether blocks of a piece are being read back. */
  isReturning(piece: PieceIndex): boolean {
    return this.#returning.has(piece)
  }

  /** Resolves when the blocks of a piece that is being spilled are stored; undefined if there is no spill. */
  spilling(piece: PieceIndex): Promise<unknown> | undefined {
    return this.#spills.get(piece)
  }

  /** Writes the blocks of an incomplete piece, whose buffer belongs to `pool`; resolves with the stored blocks. */
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

  /** Writes the present blocks of a piece; resolves with the error if storage failed. */
  async spill(buffer: PieceBuffer): Promise<Error | undefined> {
    const { piece } = buffer
    const spill = this.#write(buffer, this.#spills.get(piece))
    this.#spills.set(piece, spill)
    const failure = await spill
    if (this.#spills.get(piece) === spill) this.#spills.delete(piece)
    return failure
  }

  /**
   * Reads blocks of a piece back into its buffer and calls `filled` for each. Also calls it without a block, before and after each read, to
   * ask whether the piece is still needed; `false` ends the reading. Resolves with false when storage has lost blocks.
   */
  async readBack(
    buffer: PieceBuffer,
    blocks: readonly number[],
    filled: (block?: number) => boolean
  ): Promise<boolean> {
    const { piece } = buffer
    this.#returning.set(piece, blocks)
    // Claimed before the first read, so that no source writes there.
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
