import type { BlockSource } from '../pieces/block-source.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import { LazySet } from '../util/lazy-collections.ts'

/** A source and the block that it writes into the memory of its piece; `piece` is -1 when it writes none. */
export interface BlockWriter {
  readonly source: BlockSource
  piece: PieceIndex
  block: BlockIndex
}

/** Sources that write blocks into the memory of pieces. Each source writes one block at a time, and each block has one writer. */
export class BlockWriters {
  readonly #writers = new LazySet<BlockWriter>()
  readonly #unclaim: (piece: PieceIndex, block: BlockIndex) => void

  /** Calls `unclaim` for each claimed block that will not be completed. */
  constructor(unclaim: (piece: PieceIndex, block: BlockIndex) => void) {
    this.#unclaim = unclaim
  }

  /** Returns a writer for a source that writes no block yet. */
  open(source: BlockSource): BlockWriter {
    const writer = { source, piece: -1, block: -1 }
    this.#writers.add(writer)
    return writer
  }

  /** Removes a writer and gives up its incomplete block. */
  close(writer: BlockWriter): void {
    this.end(writer)
    this.#writers.delete(writer)
  }

  /** Gives up the incomplete block of a writer. */
  end(writer: BlockWriter): void {
    if (writer.piece < 0) return
    this.#unclaim(writer.piece, writer.block)
    writer.piece = -1
  }

  /** Detaches the writers of a piece, or of one block, from its memory: they continue in memory of their own. */
  detach(piece: PieceIndex, block?: number): void {
    for (const writer of this.#writers) {
      if (writer.piece !== piece || (block !== undefined && writer.block !== block)) continue
      writer.source.detach()
      this.end(writer)
    }
  }
}
