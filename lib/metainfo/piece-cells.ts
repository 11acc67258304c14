import type { Range } from './layout.ts'

/** The most cells of a coarse map: as many as a page has room for, and few enough to be sent every second. */
const mostCells = 1024

/** How many cells a coarse map of so many pieces has: one for each piece, or 1024. */
export function cellCount(pieceCount: number): number {
  return Math.min(mostCells, pieceCount)
}

/** The neighbouring pieces that a cell stands for; cells differ by at most one piece in length. */
export function cellPieces(cell: number, pieceCount: number): Range {
  const count = cellCount(pieceCount)
  return {
    start: Math.floor((cell * pieceCount) / count),
    end: Math.floor(((cell + 1) * pieceCount) / count)
  }
}

/** The cell that stands for a piece. */
export function cellOf(piece: number, pieceCount: number): number {
  return Math.ceil(((piece + 1) * cellCount(pieceCount)) / pieceCount) - 1
}

/** How many pieces of one kind each cell has. The owner of the pieces feeds it with every change, so that no map has to look at all of them. */
export class CellCounts {
  readonly #pieceCount: number
  readonly #counts: Uint32Array

  /** Counts the pieces whose state has a bit of `mask`, or with `without` those that have none; later changes are told by `add`. */
  constructor(states: Uint8Array | Uint32Array, mask: number, without = false) {
    this.#pieceCount = states.length
    this.#counts = new Uint32Array(cellCount(states.length))
    for (let cell = 0; cell < this.#counts.length; cell++) {
      const { start, end } = cellPieces(cell, states.length)
      let count = 0
      for (let piece = start; piece < end; piece++) count += ((states[piece] ?? 0) & mask) === 0 ? 0 : 1
      this.#counts[cell] = without ? end - start - count : count
    }
  }

  /** Pieces of the kind in a cell. */
  at(cell: number): number {
    return this.#counts[cell] ?? 0
  }

  /** A piece has become one of the kind (1), or is so no longer (-1). */
  add(piece: number, step: 1 | -1): void {
    const cell = cellOf(piece, this.#pieceCount)
    this.#counts[cell] = (this.#counts[cell] ?? 0) + step
  }

  /** The same for the pieces `[start, end)`, in as many steps as they touch cells. */
  addRange({ start, end }: Range, step: 1 | -1): void {
    for (let first = start; first < end; ) {
      const cell = cellOf(first, this.#pieceCount)
      const last = Math.min(end, cellPieces(cell, this.#pieceCount).end)
      this.#counts[cell] = (this.#counts[cell] ?? 0) + step * (last - first)
      first = last
    }
  }
}
