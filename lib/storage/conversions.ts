import type { Layout } from '../metainfo/layout.ts'
import { asError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { writeBlocks } from './block-runs.ts'
import type { PieceBuffer } from './piece-buffer.ts'
import type { Storage } from './storage.ts'

interface Conversion {
  /** Blocks that are in storage afterwards. */
  readonly written: Set<number>
  readonly done: Promise<unknown>
}

/** Pieces in memory that are to be streamed: the blocks that are there are written first, while others come. */
export class Conversions {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #under = new LazyMap<number, Conversion>()

  constructor(layout: Layout, storage: Storage) {
    this.#layout = layout
    this.#storage = storage
  }

  /** Whether blocks of a piece are being written, also of one that was given up since. */
  has(piece: number): boolean {
    return this.#under.has(piece)
  }

  /** Resolves when no more blocks of a piece are written, if some are. */
  done(piece: number): Promise<unknown> | undefined {
    return this.#under.get(piece)?.done
  }

  /** Blocks of a piece are not there any more; others may come in their place. */
  discard(piece: number, blocks: readonly number[]): void {
    const written = this.#under.get(piece)?.written
    if (written !== undefined) for (const block of blocks) written.delete(block)
  }

  /** Writes the blocks of a piece, and calls `finish` with those that are in storage then, or with the fault. */
  async run(
    piece: number,
    buffer: PieceBuffer | undefined,
    finish: (written: readonly number[], failure: Error | undefined) => void
  ): Promise<void> {
    const written = new Set(buffer?.present())
    const writing = buffer === undefined ? undefined : this.#write(buffer)
    this.#under.set(piece, { written, done: Promise.resolve(writing) })
    const failure = await writing
    this.#under.delete(piece)
    finish([...written], failure)
  }

  async #write(buffer: PieceBuffer): Promise<Error | undefined> {
    try {
      await writeBlocks(this.#layout, this.#storage, buffer)
      return undefined
    } catch (thrown) {
      return asError(thrown)
    }
  }
}
