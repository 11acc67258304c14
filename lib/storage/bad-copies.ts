import type { PieceIndex } from '../util/indices.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import type { PieceBuffer } from './piece-buffer.ts'

/** Bad copies kept for what is right in them, in bytes; one is kept of pieces that are larger. */
const badBytes = 16 << 20

/** Bad copies of pieces that are fetched again; each holds on to the memory that was reserved for it. */
export class BadCopies {
  readonly #most: number
  readonly #onDrop: (buffer: PieceBuffer, wasKept: boolean) => void
  readonly #buffers = new LazyMap<number, PieceBuffer>()
  /** Copies that the piece goes on from when it is begun again, less some blocks. */
  readonly #kept = new LazySet<number>()

  /** Tells `onDrop` of each copy whose memory is free, and whether its piece was to go on from it. */
  constructor(pieceLength: number, onDrop: (buffer: PieceBuffer, wasKept: boolean) => void) {
    this.#most = Math.max(1, Math.floor(badBytes / pieceLength))
    this.#onDrop = onDrop
  }

  /** The bad copy of a piece. */
  get(piece: PieceIndex): PieceBuffer | undefined {
    return this.#buffers.get(piece)
  }

  /** Keeps the copy of a piece that has failed, instead of an earlier one. */
  add(buffer: PieceBuffer): void {
    this.drop(buffer.piece)
    if (this.#buffers.size >= this.#most) this.drop()
    this.#buffers.set(buffer.piece, buffer)
  }

  /** The next copy of a piece begins with these blocks of the bad one. Returns them, or nothing if there is none. */
  keep(piece: PieceIndex, blocks: readonly number[]): readonly number[] {
    const bad = this.#buffers.get(piece)
    if (bad === undefined) return []
    const kept = new Set(blocks)
    for (const block of bad.present()) if (!kept.has(block)) bad.discard(block)
    this.#kept.add(piece)
    return blocks
  }

  /** Whether the next copy of a piece begins with blocks of its bad one. */
  isKept(piece: PieceIndex): boolean {
    return this.#kept.has(piece)
  }

  /** Takes a copy out that the piece goes on from. */
  take(piece: PieceIndex): PieceBuffer | undefined {
    if (!this.#kept.delete(piece)) return undefined
    const buffer = this.#buffers.get(piece)
    this.#buffers.delete(piece)
    return buffer
  }

  /** Gives up the bad copy of a piece, by default of the one that failed first; false when there is none. */
  drop(piece: PieceIndex | undefined = this.#oldest()): boolean {
    const buffer = piece === undefined ? undefined : this.#buffers.get(piece)
    if (piece === undefined || buffer === undefined) return false
    this.#buffers.delete(piece)
    this.#onDrop(buffer, this.#kept.delete(piece))
    return true
  }

  /** The oldest copy; copies that a piece goes on from come last. */
  #oldest(): number | undefined {
    for (const piece of this.#buffers.keys()) if (!this.#kept.has(piece)) return piece
    const [first] = this.#kept
    return first
  }
}
