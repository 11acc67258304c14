import type { Layout } from '../metainfo/layout.ts'
import type { PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { NumberMap } from '../util/number-map.ts'
import { PartialPiece } from './partial-piece.ts'

/** Bound on the blocks of unused objects that are kept for reuse. */
const mostSpareBlocks = 4096

/**
 * The blocks of pieces that are not verified. Each block of a partial piece is free, requested or received. A piece that is not partial can have
 * kept blocks, which are unverified, in storage or in a bad copy, and count as received once the piece becomes partial.
 *
 * Transitions: `begin` makes a missing piece partial, `end` ends that; `setKept` and `forget` set and clear the kept blocks of a piece.
 */
export class PieceBlocks {
  readonly #layout: Layout
  readonly #partials = new NumberMap<PartialPiece>()
  readonly #kept = new LazyMap<number, readonly number[]>()
  /** Objects of ended pieces, for reuse. */
  readonly #spare: PartialPiece[] = []

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** Number of partial pieces. */
  get size(): number {
    return this.#partials.size
  }

  /** Returns the blocks of a partial piece; undefined when it is not partial. */
  get(piece: PieceIndex): PartialPiece | undefined {
    return this.#partials.get(piece)
  }

  /** Whether a piece is partial. */
  has(piece: PieceIndex): boolean {
    return this.#partials.has(piece)
  }

  /** Iterates over all partial pieces, oldest first. No piece may begin meanwhile. */
  values(): Iterable<PartialPiece> {
    return this.#partials.values()
  }

  /** Makes a piece partial unless it is; its kept blocks become received. */
  begin(piece: PieceIndex): PartialPiece {
    const known = this.#partials.get(piece)
    if (known !== undefined) return known
    const partial = this.#spare.pop() ?? new PartialPiece()
    partial.begin(piece, this.#layout.blockCount(piece))
    for (const block of this.#kept.get(piece) ?? []) partial.receive(block, -2)
    this.#kept.delete(piece)
    this.#partials.set(piece, partial)
    return partial
  }

  /** Ends a partial piece and forgets its blocks. */
  end(piece: PieceIndex): void {
    const partial = this.#partials.get(piece)
    if (partial === undefined) return
    this.#partials.delete(piece)
    if (this.#partials.size === 0) {
      this.#partials.clear()
      this.#spare.length = 0
    } else if (this.#spare.length * this.#layout.blocksPerPiece < mostSpareBlocks) this.#spare.push(partial)
  }

  /** Returns the kept blocks of a piece that is not partial. */
  kept(piece: PieceIndex): readonly number[] {
    return this.#kept.get(piece) ?? []
  }

  /** Returns the kept blocks of all pieces that have some. */
  allKept(): Map<number, readonly number[]> {
    return new Map(this.#kept)
  }

  /** Sets the kept blocks of a piece; does nothing for a partial one. */
  setKept(piece: PieceIndex, blocks: readonly number[]): void {
    if (!this.has(piece)) this.#kept.set(piece, blocks)
  }

  /** Forgets the kept blocks of a piece. */
  forget(piece: PieceIndex): void {
    this.#kept.delete(piece)
  }
}
