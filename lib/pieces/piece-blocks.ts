import type { Layout } from '../metainfo/layout.ts'
import type { PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { NumberMap } from '../util/number-map.ts'
import { PartialPiece } from './partial-piece.ts'

/** So many blocks may those have that stand for no piece for the moment. */
const mostSpareBlocks = 4096

/**
 * The blocks of pieces that are not verified. A piece that is begun is partial: each of its blocks is free, requested or received. Of a piece that is
 * not begun it may be known that blocks are stored: they are there unverified, in storage or in a bad copy, and count as received
 * once the piece is begun.
 *
 * Transitions: `begin` makes a missing piece partial, `end` ends that, `store` and `forget` say which blocks of a piece that is not begun are there.
 */
export class PieceBlocks {
  readonly #layout: Layout
  readonly #partials = new NumberMap<PartialPiece>()
  readonly #stored = new LazyMap<number, readonly number[]>()
  /** Objects of pieces that were ended, for the next ones. */
  readonly #spare: PartialPiece[] = []

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** How many pieces are partial. */
  get size(): number {
    return this.#partials.size
  }

  /** The blocks of a partial piece. */
  get(piece: PieceIndex): PartialPiece | undefined {
    return this.#partials.get(piece)
  }

  /** Whether a piece is partial. */
  has(piece: PieceIndex): boolean {
    return this.#partials.has(piece)
  }

  /** All partial pieces, oldest first; none may be begun while they are gone through. */
  values(): Iterable<PartialPiece> {
    return this.#partials.values()
  }

  /** Makes a piece partial, if it is not yet; its stored blocks count as received. */
  begin(piece: PieceIndex): PartialPiece {
    const known = this.#partials.get(piece)
    if (known !== undefined) return known
    const partial = this.#spare.pop() ?? new PartialPiece()
    partial.begin(piece, this.#layout.blockCount(piece))
    for (const block of this.#stored.get(piece) ?? []) partial.receive(block, -2)
    this.#stored.delete(piece)
    this.#partials.set(piece, partial)
    return partial
  }

  /** A piece is partial no longer; the blocks that came of it are forgotten. */
  end(piece: PieceIndex): void {
    const partial = this.#partials.get(piece)
    if (partial === undefined) return
    this.#partials.delete(piece)
    if (this.#partials.size === 0) {
      this.#partials.clear()
      this.#spare.length = 0
    } else if (this.#spare.length * this.#layout.blocksPerPiece < mostSpareBlocks) this.#spare.push(partial)
  }

  /** The stored blocks of a piece that is not begun. */
  stored(piece: PieceIndex): readonly number[] {
    return this.#stored.get(piece) ?? []
  }

  /** All pieces that have stored blocks, with these. */
  allStored(): Map<number, readonly number[]> {
    return new Map(this.#stored)
  }

  /** Blocks of a piece that is not begun are there; of a partial piece this is not taken. */
  store(piece: PieceIndex, blocks: readonly number[]): void {
    if (!this.has(piece)) this.#stored.set(piece, blocks)
  }

  /** The stored blocks of a piece are not there any more, or of no use. */
  forget(piece: PieceIndex): void {
    this.#stored.delete(piece)
  }
}
