import type { Layout } from '../metainfo/layout.ts'
import { asError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { writeBlocks } from './block-runs.ts'
import type { PieceBuffer } from './piece-buffer.ts'
import type { Storage } from './storage.ts'

interface Conversion {
  /** Blocks that are stored afterwards. */
  readonly written: Set<number>
  readonly done: Promise<unknown>
}

/** Converts pieces in memory to streamed pieces: writes their present blocks to storage while other blocks arrive. */
export class Conversions {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #running = new LazyMap<number, Conversion>()

  constructor(layout: Layout, storage: Storage) {
    this.#layout = layout
    this.#storage = storage
  }

  /** Returns whether blocks of a piece are being written, even if the piece was abandoned since. */
  has(piece: number): boolean {
    return this.#running.has(piece)
  }

  /** Resolves when the blocks of a piece are written; undefined when none are being written. */
  done(piece: number): Promise<unknown> | undefined {
    return this.#running.get(piece)?.done
  }

  /** Marks blocks as not written, because they were discarded. */
  discard(piece: number, blocks: readonly number[]): void {
    const written = this.#running.get(piece)?.written
    if (written !== undefined) for (const block of blocks) written.delete(block)
  }

  /** Writes the blocks of a piece, then calls `finish` with the stored blocks and the error, if any. */
  async run(
    piece: number,
    buffer: PieceBuffer | undefined,
    finish: (written: readonly number[], failure: Error | undefined) => void
  ): Promise<void> {
    const written = new Set(buffer?.present())
    const writing = buffer === undefined ? undefined : this.#write(buffer)
    this.#running.set(piece, { written, done: Promise.resolve(writing) })
    const failure = await writing
    this.#running.delete(piece)
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
