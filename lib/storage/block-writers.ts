import type { BlockSource } from '../pieces/block-source.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import { LazySet } from '../util/lazy-collections.ts'

/** A source and the block that it writes into the memory of its piece, -1 for none. */
export interface BlockWriter {
  readonly source: BlockSource
  piece: PieceIndex
  block: BlockIndex
}

/** The sources that write blocks into the memory of pieces; each writes one block at a time, and no block has two writers. */
export class BlockWriters {
  readonly #writers = new LazySet<BlockWriter>()
  readonly #unclaim: (piece: PieceIndex, block: BlockIndex) => void

  /** Calls `unclaim` for a block that a writer has claimed and will not write whole. */
  constructor(unclaim: (piece: PieceIndex, block: BlockIndex) => void) {
    this.#unclaim = unclaim
  }

  /** A source that writes nothing yet. */
  open(source: BlockSource): BlockWriter {
    const writer = { source, piece: -1, block: -1 }
    this.#writers.add(writer)
    return writer
  }

  /** The source writes nothing more. */
  close(writer: BlockWriter): void {
    this.end(writer)
    this.#writers.delete(writer)
  }

  /** Ends what a source writes, which is not whole. */
  end(writer: BlockWriter): void {
    if (writer.piece < 0) return
    this.#unclaim(writer.piece, writer.block)
    writer.piece = -1
  }

  /** The memory of a piece, or of one block, is needed otherwise: its writers get memory of their own. */
  detach(piece: PieceIndex, block?: number): void {
    for (const writer of this.#writers) {
      if (writer.piece !== piece || (block !== undefined && writer.block !== block)) continue
      writer.source.detach()
      this.end(writer)
    }
  }
}
