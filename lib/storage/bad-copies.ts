import type { PieceIndex } from '../util/indices.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import type { PieceBuffer } from './piece-buffer.ts'

/** Limit of memory for bad copies, in bytes; always allows one copy. */
const badBytes = 16 << 20

/** Bad copies of pieces that are being downloaded again, kept for their good blocks. Each keeps the memory reserved for it. */
export class BadCopies {
  readonly #most: number
  readonly #onDrop: (buffer: PieceBuffer, wasKept: boolean) => void
  readonly #buffers = new LazyMap<number, PieceBuffer>()
  /** Pieces whose next copy begins with blocks of the bad one. */
  readonly #kept = new LazySet<number>()

  /** Calls `onDrop` for each copy whose memory becomes free; `wasKept` tells whether the next copy was to begin with it. */
  constructor(pieceLength: number, onDrop: (buffer: PieceBuffer, wasKept: boolean) => void) {
    this.#most = Math.max(1, Math.floor(badBytes / pieceLength))
    this.#onDrop = onDrop
  }

  get(piece: PieceIndex): PieceBuffer | undefined {
    return this.#buffers.get(piece)
  }

  /** Stores the copy of a piece that failed, replacing an earlier one. */
  add(buffer: PieceBuffer): void {
    this.drop(buffer.piece)
    if (this.#buffers.size >= this.#most) this.drop()
    this.#buffers.set(buffer.piece, buffer)
  }

  /** Lets the next copy of a piece begin with these blocks of the bad copy. Returns the blocks, or none if there is no bad copy. */
  keep(piece: PieceIndex, blocks: readonly number[]): readonly number[] {
    const bad = this.#buffers.get(piece)
    if (bad === undefined) return []
    const kept = new Set(blocks)
    for (const block of bad.present()) if (!kept.has(block)) bad.discard(block)
    this.#kept.add(piece)
    return blocks
  }

  /** Returns whether the next copy of a piece begins with blocks of its bad copy. */
  isKept(piece: PieceIndex): boolean {
    return this.#kept.has(piece)
  }

  /** Removes and returns the copy that the piece continues from. */
  take(piece: PieceIndex): PieceBuffer | undefined {
    if (!this.#kept.delete(piece)) return undefined
    const buffer = this.#buffers.get(piece)
    this.#buffers.delete(piece)
    return buffer
  }

  /** Drops the bad copy of a piece, by default the oldest; returns false when there is none. */
  drop(piece: PieceIndex | undefined = this.#oldest()): boolean {
    const buffer = piece === undefined ? undefined : this.#buffers.get(piece)
    if (piece === undefined || buffer === undefined) return false
    this.#buffers.delete(piece)
    this.#onDrop(buffer, this.#kept.delete(piece))
    return true
  }

  /** Returns the piece with the oldest copy; copies that a piece continues from come last. */
  #oldest(): number | undefined {
    for (const piece of this.#buffers.keys()) if (!this.#kept.has(piece)) return piece
    const [first] = this.#kept
    return first
  }
}
