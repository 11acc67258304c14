import type { Range } from './layout.ts'

/** Maximum cells of a coarse map: what fits on a page, and is small enough to send every second. */
const mostCells = 1024

/** Returns the number of cells of a coarse map: one per piece, at most 1024. */
export function cellCount(pieceCount: number): number {
  return Math.min(mostCells, pieceCount)
}

/** Returns the consecutive pieces of a cell; cells differ by at most one piece. */
export function cellPieces(cell: number, pieceCount: number): Range {
  const count = cellCount(pieceCount)
  return {
    start: Math.floor((cell * pieceCount) / count),
    end: Math.floor(((cell + 1) * pieceCount) / count)
  }
}

/** Returns the cell that contains a piece, from 0 to {@link cellCount} - 1. */
export function cellOf(piece: number, pieceCount: number): number {
  return Math.ceil(((piece + 1) * cellCount(pieceCount)) / pieceCount) - 1
}

/** Counts the pieces of one kind in each cell. The owner of the pieces reports every change, so that a map never scans all pieces. */
export class CellCounts {
  readonly #pieceCount: number
  readonly #counts: Uint32Array

  /** Counts the pieces whose state has a bit of `mask`, or with `without` those that have none. `add` reports later changes. */
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

  /** Returns the pieces of the kind in a cell. */
  at(cell: number): number {
    return this.#counts[cell] ?? 0
  }

  /** Records that a piece became one of the kind (1) or stopped being one (-1). */
  add(piece: number, step: 1 | -1): void {
    const cell = cellOf(piece, this.#pieceCount)
    this.#counts[cell] = (this.#counts[cell] ?? 0) + step
  }

  /** Does the same for the pieces `[start, end)`; takes one step per cell. */
  addRange({ start, end }: Range, step: 1 | -1): void {
    for (let first = start; first < end; ) {
      const cell = cellOf(first, this.#pieceCount)
      const last = Math.min(end, cellPieces(cell, this.#pieceCount).end)
      this.#counts[cell] = (this.#counts[cell] ?? 0) + step * (last - first)
      first = last
    }
  }
}
