import type { Layout } from '../metainfo/layout.ts'
import { setBit } from '../util/bits.ts'

/**
 * What is there of a torrent, piece by piece, and what that means for files and for the selection.
 *
 * A piece is verified or not; a verified piece is stored once storage has it; a stored piece is unproven while only an unclean
 * earlier run vouches for it. An unchecked piece may be in storage, and is not verified before it was hashed.
 */
export class Ledger {
  readonly #layout: Layout
  readonly #verified: Uint8Array
  readonly #stored: Uint8Array
  /** Made when first needed: most torrents have no such pieces. */
  #unproven: Uint8Array | undefined
  #unchecked: Uint8Array | undefined
  readonly #fileBytes: Float64Array
  #priority: Uint8Array
  #verifiedLength = 0
  #selectedLength = 0
  #selectedVerified = 0
  #selectedMissing = 0
  #missing: number
  #uncheckedCount = 0
  #unprovenCount = 0

  constructor(layout: Layout) {
    const { pieceCount } = layout
    this.#layout = layout
    this.#verified = new Uint8Array(pieceCount)
    this.#stored = new Uint8Array(pieceCount)
    this.#priority = new Uint8Array(pieceCount)
    this.#fileBytes = new Float64Array(layout.files.length)
    this.#missing = pieceCount
  }

  /** Verified bytes of everything. */
  get verifiedLength(): number {
    return this.#verifiedLength
  }

  /** Bytes of everything that are missing. */
  get left(): number {
    return this.#layout.length - this.#verifiedLength
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

  /** Pieces still to be checked. */
  get uncheckedCount(): number {
    return this.#uncheckedCount
  }

  /** Stored pieces still to be proven. */
  get unprovenCount(): number {
    return this.#unprovenCount
  }

  /** Verified bytes of a file of the layout. */
  fileBytes(fileIndex: number): number {
    return this.#fileBytes[fileIndex] ?? 0
  }

  /** Whether every byte of a file of the layout is stored. */
  isFileStored(fileIndex: number): boolean {
    if (this.fileBytes(fileIndex) !== this.#layout.files[fileIndex]?.length) return false
    const { start, end } = this.#layout.filePieces(fileIndex)
    for (let piece = start; piece < end; piece++) if (this.#stored[piece] === 0) return false
    return true
  }

  /** Whether a piece is verified. */
  isVerified(piece: number): boolean {
    return this.#verified[piece] === 1
  }

  /** Whether storage has a piece. */
  isStored(piece: number): boolean {
    return this.#stored[piece] === 1
  }

  /** Whether a piece is still to be hashed before it counts. */
  isUnchecked(piece: number): boolean {
    return this.#unchecked?.[piece] === 1
  }

  /** Whether a stored piece is still to be hashed before it is used. */
  isUnproven(piece: number): boolean {
    return this.#unproven?.[piece] === 1
  }

  /** Whether a piece may be given to peers. */
  serves(piece: number): boolean {
    return this.#stored[piece] === 1 && this.#unproven?.[piece] !== 1
  }

  /** A bit for each piece for which `which` says yes (BEP 3). */
  bits(which: (piece: number) => boolean): Uint8Array {
    const bits = new Uint8Array(Math.ceil(this.#layout.pieceCount / 8))
    for (let piece = 0; piece < this.#layout.pieceCount; piece++) {
      if (which(piece)) setBit(bits, piece)
    }
    return bits
  }

  /** Sets the selection priority of each piece and returns the pieces whose priority changed, by their new one. */
  setPriorities(priorities: Uint8Array): Map<number, number[]> {
    const changed = new Map<number, number[]>()
    this.#selectedLength = 0
    this.#selectedVerified = 0
    this.#selectedMissing = 0
    for (let piece = 0; piece < priorities.length; piece++) {
      const priority = priorities[piece] ?? 0
      if (priority > 0) {
        const size = this.#layout.pieceSize(piece)
        this.#selectedLength += size
        if (this.#verified[piece] === 1) this.#selectedVerified += size
        if (this.#stored[piece] === 0) this.#selectedMissing++
      }
      if (priority === this.#priority[piece]) continue
      const list = changed.get(priority)
      if (list === undefined) changed.set(priority, [piece])
      else list.push(piece)
    }
    this.#priority = priorities
    return changed
  }

  /** A piece is verified, or it is lost. */
  setVerified(piece: number, verified: boolean): void {
    if ((this.#verified[piece] === 1) === verified) return
    const sign = verified ? 1 : -1
    const start = this.#layout.pieceOffset(piece)
    const size = this.#layout.pieceSize(piece)
    this.#verified[piece] = verified ? 1 : 0
    this.#verifiedLength += sign * size
    if (this.#isSelected(piece)) this.#selectedVerified += sign * size
    for (const { fileIndex, length } of this.#layout.spans({ start, end: start + size })) {
      this.#fileBytes[fileIndex] = this.fileBytes(fileIndex) + sign * length
    }
    if (verified) this.setUnchecked(piece, false)
    else this.setStored(piece, false)
  }

  /** Storage has a verified piece, or no longer. */
  setStored(piece: number, stored: boolean): void {
    if ((this.#stored[piece] === 1) === stored) return
    this.#stored[piece] = stored ? 1 : 0
    this.#missing += stored ? -1 : 1
    if (this.#isSelected(piece)) this.#selectedMissing += stored ? -1 : 1
    if (!stored) this.setUnproven(piece, false)
  }

  /** A stored piece is to be hashed before it is used, or was. */
  setUnproven(piece: number, unproven: boolean): void {
    if (this.isUnproven(piece) === unproven) return
    this.#unproven ??= new Uint8Array(this.#layout.pieceCount)
    this.#unproven[piece] = unproven ? 1 : 0
    this.#unprovenCount += unproven ? 1 : -1
  }

  /** A piece may be in storage and is to be hashed, or was. */
  setUnchecked(piece: number, unchecked: boolean): void {
    if (this.isUnchecked(piece) === unchecked) return
    this.#unchecked ??= new Uint8Array(this.#layout.pieceCount)
    this.#unchecked[piece] = unchecked ? 1 : 0
    this.#uncheckedCount += unchecked ? 1 : -1
  }

  #isSelected(piece: number): boolean {
    return (this.#priority[piece] ?? 0) > 0
  }
}
