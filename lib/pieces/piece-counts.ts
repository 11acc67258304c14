import type { Layout, Range } from '../metainfo/layout.ts'
import { CellCounts } from '../metainfo/piece-cells.ts'

/** Bits of the state of a piece in a {@link PieceTable}. */
export const pieceFlags = { verified: 1, stored: 2, unproven: 4, unchecked: 8 } as const
/** Bit position of the selection priority (0 to 7), above the flags. */
export const priorityShift = 4

const { verified, stored, unproven, unchecked } = pieceFlags

/** Counts pieces and bytes by state: of the torrent, the selection, each file, and each cell of a coarse map. Updated by {@link PieceTable}. */
export class PieceCounts {
  readonly #layout: Layout
  readonly #states: Uint8Array
  /** Verified bytes of each file, then stored bytes of each. */
  readonly #fileBytes: Float64Array
  #verifiedLength = 0
  #verifiedCount = 0
  #selectedLength = 0
  #selectedVerified = 0
  #selectedUnstored = 0
  #unstored: number
  #uncheckedCount = 0
  #unprovenCount = 0
  #verifiedCells: CellCounts | undefined
  #uncheckedCells: CellCounts | undefined

  /** Counts a table in which every piece is missing; `states` is the table's own array. */
  constructor(layout: Layout, states: Uint8Array) {
    this.#layout = layout
    this.#states = states
    this.#fileBytes = new Float64Array(2 * layout.files.length)
    this.#unstored = layout.pieceCount
  }

  /** Verified bytes. All lengths here exclude padding. */
  get verifiedLength(): number {
    return this.#verifiedLength
  }

  /** Bytes that are not verified. */
  get left(): number {
    return this.#layout.dataLength - this.#verifiedLength
  }

  /** Bytes of the selected pieces. */
  get selectedLength(): number {
    return this.#selectedLength
  }

  /** Verified bytes of the selected pieces. */
  get selectedVerified(): number {
    return this.#selectedVerified
  }

  /** Bytes of the selected pieces that are not verified. */
  get selectedLeft(): number {
    return this.#selectedLength - this.#selectedVerified
  }

  /** Verified part of the selected pieces, 0 to 1; 1 when none is selected. */
  get selectedProgress(): number {
    return this.#selectedLength === 0 ? 1 : this.#selectedVerified / this.#selectedLength
  }

  /** Whether every selected piece is stored, and no piece of the torrent, selected or not, is unchecked. */
  get selectedComplete(): boolean {
    return this.#selectedUnstored === 0 && this.#uncheckedCount === 0
  }

  /** Whether every piece is stored. */
  get complete(): boolean {
    return this.#unstored === 0
  }

  /** Whether no piece is stored. */
  get storesNothing(): boolean {
    return this.#unstored === this.#layout.pieceCount
  }

  /** Whether there is no piece that peers may request. */
  get servesNothing(): boolean {
    return this.#layout.pieceCount - this.#unstored === this.#unprovenCount
  }

  /** Number of verified pieces, stored or not. */
  get verifiedCount(): number {
    return this.#verifiedCount
  }

  get storedCount(): number {
    return this.#layout.pieceCount - this.#unstored
  }

  get uncheckedCount(): number {
    return this.#uncheckedCount
  }

  get unprovenCount(): number {
    return this.#unprovenCount
  }

  /** Verified pieces of each cell of a coarse map; counted at the first call, and kept up to date from then on. */
  get verifiedCells(): CellCounts {
    this.#verifiedCells ??= new CellCounts(this.#states, verified)
    return this.#verifiedCells
  }

  /** Unchecked pieces of each cell, likewise. */
  get uncheckedCells(): CellCounts {
    this.#uncheckedCells ??= new CellCounts(this.#states, unchecked)
    return this.#uncheckedCells
  }

  /** Returns the verified bytes of a file of the layout. */
  fileBytes(fileIndex: number): number {
    return fileIndex < this.#layout.files.length ? (this.#fileBytes[fileIndex] ?? 0) : 0
  }

  /** Whether every byte of a file of the layout is stored. */
  isFileStored(fileIndex: number): boolean {
    const { files } = this.#layout
    return this.#fileBytes[files.length + fileIndex] === files[fileIndex]?.length
  }

  /** Counts a transition of the pieces of a range from one state to another. */
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
    this.#selectedUnstored += (is * (1 - bit(after, stored)) - was * (1 - bit(before, stored))) * count
    this.#verifiedLength += verifies * size
    this.#verifiedCount += verifies * count
    this.#unstored -= stores * count
    this.#unprovenCount += step(before, after, unproven) * count
    this.#uncheckedCount += checks * count
    if (verifies !== 0) {
      this.#verifiedCells?.addRange(pieces, verifies)
      this.#countFiles(0, pieces, verifies)
    }
    if (stores !== 0) this.#countFiles(this.#layout.files.length, pieces, stores)
    if (checks !== 0) this.#uncheckedCells?.addRange(pieces, checks)
  }

  /** Adds the bytes of pieces to the files that they overlap, or subtracts them. */
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

/** Returns 1 when a flag becomes set, -1 when it becomes clear, else 0. */
function step(before: number, after: number, flag: number): 1 | 0 | -1 {
  return (bit(after, flag) - bit(before, flag)) as 1 | 0 | -1
}
