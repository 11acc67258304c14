import type { Layout, Range } from '../metainfo/layout.ts'
import { CellCounts } from '../metainfo/piece-cells.ts'

/** Bits of the state of a piece in a {@link PieceTable}. */
export const pieceFlags = { verified: 1, stored: 2, unproven: 4, unchecked: 8 } as const
/** The selection priority, 0 to 7, stands above the flags. */
export const priorityShift = 4

const { verified, stored, unproven, unchecked } = pieceFlags

/** Counters of the states of pieces: for everything, for the selection, for files, and for a coarse map. The table feeds them with its transitions. */
export class PieceCounts {
  readonly #layout: Layout
  readonly #states: Uint8Array
  /** Verified bytes of each file, then stored bytes of each. */
  readonly #fileBytes: Float64Array
  #verifiedLength = 0
  #verifiedCount = 0
  #selectedLength = 0
  #selectedVerified = 0
  #selectedMissing = 0
  #missing: number
  #uncheckedCount = 0
  #unprovenCount = 0
  #verifiedCells: CellCounts | undefined
  #uncheckedCells: CellCounts | undefined

  /** Counters of a table in which every piece is missing; `states` are those of the table. */
  constructor(layout: Layout, states: Uint8Array) {
    this.#layout = layout
    this.#states = states
    this.#fileBytes = new Float64Array(2 * layout.files.length)
    this.#missing = layout.pieceCount
  }

  /** Verified bytes of everything, without padding, as in all lengths here. */
  get verifiedLength(): number {
    return this.#verifiedLength
  }

  /** Bytes of everything that are missing. */
  get left(): number {
    return this.#layout.dataLength - this.#verifiedLength
  }

  /** Bytes of the pieces that are selected. */
  get selectedLength(): number {
    return this.#selectedLength
  }

  /** Verified bytes of them. */
  get selectedVerified(): number {
    return this.#selectedVerified
  }

  /** Bytes of them that are missing. */
  get selectedLeft(): number {
    return this.#selectedLength - this.#selectedVerified
  }

  /** Verified part of them, 0 to 1. */
  get selectedProgress(): number {
    return this.#selectedLength === 0 ? 1 : this.#selectedVerified / this.#selectedLength
  }

  /** Whether everything selected is stored. */
  get selectedComplete(): boolean {
    return this.#selectedMissing === 0 && this.#uncheckedCount === 0
  }

  /** Whether everything is stored. */
  get complete(): boolean {
    return this.#missing === 0
  }

  /** Whether no piece is stored. */
  get storesNothing(): boolean {
    return this.#missing === this.#layout.pieceCount
  }

  /** Whether no piece may be given to peers. */
  get servesNothing(): boolean {
    return this.#layout.pieceCount - this.#missing === this.#unprovenCount
  }

  /** Verified pieces, stored or not. */
  get verifiedCount(): number {
    return this.#verifiedCount
  }

  /** Pieces in storage. */
  get storedCount(): number {
    return this.#layout.pieceCount - this.#missing
  }

  /** Pieces still to be checked. */
  get uncheckedCount(): number {
    return this.#uncheckedCount
  }

  /** Stored pieces still to be proven. */
  get unprovenCount(): number {
    return this.#unprovenCount
  }

  /** Verified pieces of each cell of a coarse map; counted at the first call, and kept up from then on. */
  get verifiedCells(): CellCounts {
    this.#verifiedCells ??= new CellCounts(this.#states, verified)
    return this.#verifiedCells
  }

  /** Pieces still to be checked of each cell, likewise. */
  get uncheckedCells(): CellCounts {
    this.#uncheckedCells ??= new CellCounts(this.#states, unchecked)
    return this.#uncheckedCells
  }

  /** Verified bytes of a file of the layout. */
  fileBytes(fileIndex: number): number {
    return fileIndex < this.#layout.files.length ? (this.#fileBytes[fileIndex] ?? 0) : 0
  }

  /** Whether every byte of a file of the layout is stored. */
  isFileStored(fileIndex: number): boolean {
    const { files } = this.#layout
    return this.#fileBytes[files.length + fileIndex] === files[fileIndex]?.length
  }

  /** The pieces of a range, which had the state `before`, have the state `after`. */
  moved(pieces: Range, before: number, after: number): void {
    const size = this.#layout.dataBytesOf(pieces)
    const count = pieces.end - pieces.start
    const verifies = step(before, after, verified)
    const stores = step(before, after, stored)
    const checks = step(before, after, unchecked)
    const was = before >> priorityShift > 0 ? 1 : 0
    const is = after >> priorityShift > 0 ? 1 : 0
    this.#selectedLength += (is - was) * size
    this.#selectedVerified += (is * bit(after, verified) - was * bit(before, verified)) * size
    this.#selectedMissing += (is * (1 - bit(after, stored)) - was * (1 - bit(before, stored))) * count
    this.#verifiedLength += verifies * size
    this.#verifiedCount += verifies * count
    this.#missing -= stores * count
    this.#unprovenCount += step(before, after, unproven) * count
    this.#uncheckedCount += checks * count
    if (verifies !== 0) {
      this.#verifiedCells?.addRange(pieces, verifies)
      this.#countFiles(0, pieces, verifies)
    }
    if (stores !== 0) this.#countFiles(this.#layout.files.length, pieces, stores)
    if (checks !== 0) this.#uncheckedCells?.addRange(pieces, checks)
  }

  /** Adds the bytes of pieces to those of the files that they touch, or takes them off. */
  #countFiles(first: number, pieces: Range, sign: 1 | -1): void {
    const bytes = this.#fileBytes
    const { files } = this.#layout
    let at = this.#layout.pieceOffset(pieces.start)
    const endByte = at + this.#layout.bytesOf(pieces)
    for (let index = this.#layout.fileAt(at); at < endByte; index++) {
      const file = files[index]
      if (file === undefined) return
      const length = Math.min(endByte, file.offset + file.length) - at
      bytes[first + index] = (bytes[first + index] ?? 0) + sign * length
      at += length
    }
  }
}

function bit(state: number, flag: number): 0 | 1 {
  return (state & flag) === 0 ? 0 : 1
}

/** 1 where a flag is set, -1 where it is cleared, 0 where it stays. */
function step(before: number, after: number, flag: number): 1 | 0 | -1 {
  return (bit(after, flag) - bit(before, flag)) as 1 | 0 | -1
}
