import type { Layout, Range } from '../metainfo/layout.ts'
import { CellCounts } from '../metainfo/piece-cells.ts'
import { clearBit, setBit } from '../util/bits.ts'

const verifiedFlag = 1
const storedFlag = 2
const unprovenFlag = 4
const uncheckedFlag = 8
/** All of them. */
const flags = 15
/** The priority, 0 to 7, stands above the flags. */
const priorityShift = 4

/**
 * What is there of a torrent, piece by piece, and what that means for files and for the selection.
 *
 * A piece is verified or not; a verified piece is stored once storage has it; a stored piece is unproven while only an unclean
 * earlier run vouches for it. An unchecked piece may be in storage, and is not verified before it was hashed.
 */
export class Ledger {
  readonly #layout: Layout
  /** For each piece its {@link flags}, and above them its selection priority. */
  readonly #states: Uint8Array
  /** Verified bytes of each file, then stored bytes of each. */
  readonly #fileBytes: Float64Array
  #verifiedLength = 0
  #selectedLength = 0
  #selectedVerified = 0
  #selectedMissing = 0
  #missing: number
  #uncheckedCount = 0
  #unprovenCount = 0
  #verifiedCells: CellCounts | undefined
  #uncheckedCells: CellCounts | undefined
  /** A bit for each piece that may be given to peers; counted at the first call, and kept up from then on. */
  #servedBits: Uint8Array | undefined

  constructor(layout: Layout) {
    const { pieceCount } = layout
    this.#layout = layout
    this.#states = new Uint8Array(pieceCount)
    this.#fileBytes = new Float64Array(2 * layout.files.length)
    this.#missing = pieceCount
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
    this.#verifiedCells ??= new CellCounts(this.#states, verifiedFlag)
    return this.#verifiedCells
  }

  /** Pieces still to be checked of each cell, likewise. */
  get uncheckedCells(): CellCounts {
    this.#uncheckedCells ??= new CellCounts(this.#states, uncheckedFlag)
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

  /** Whether a piece is verified. */
  isVerified(piece: number): boolean {
    return this.#is(piece, verifiedFlag)
  }

  /** Whether storage has a piece. */
  isStored(piece: number): boolean {
    return this.#is(piece, storedFlag)
  }

  /** Whether a piece is still to be hashed before it counts. */
  isUnchecked(piece: number): boolean {
    return this.#is(piece, uncheckedFlag)
  }

  /** Whether a stored piece is still to be hashed before it is used. */
  isUnproven(piece: number): boolean {
    return this.#is(piece, unprovenFlag)
  }

  /** Whether a piece may be given to peers. */
  serves(piece: number): boolean {
    return ((this.#states[piece] ?? 0) & (storedFlag | unprovenFlag)) === storedFlag
  }

  /** Whether no piece may be given to peers. */
  get servesNothing(): boolean {
    return this.#layout.pieceCount - this.#missing === this.#unprovenCount
  }

  /** A bit for each piece that may be given to peers (BEP 3); the caller's own. */
  servedBits(): Uint8Array {
    this.#servedBits ??= this.#bits(storedFlag | unprovenFlag)
    return this.#servedBits.slice()
  }

  /** A bit for each piece that storage has; the caller's own. */
  storedBits(): Uint8Array {
    return this.#bits(storedFlag)
  }

  /** Sets the selection priority of neighbouring pieces and returns those of them whose priority changed. */
  setPriorities(first: number, priorities: Uint8Array): number[] {
    const changed: number[] = []
    for (let n = 0; n < priorities.length; n++) {
      const piece = first + n
      const priority = priorities[n] ?? 0
      const before = this.priority(piece)
      if (priority === before) continue
      changed.push(piece)
      this.#states[piece] = ((this.#states[piece] ?? 0) & flags) | (priority << priorityShift)
      if (priority > 0 === before > 0) continue
      const sign = priority > 0 ? 1 : -1
      const size = sign * this.#layout.dataSize(piece)
      this.#selectedLength += size
      if (this.#is(piece, verifiedFlag)) this.#selectedVerified += size
      if (!this.#is(piece, storedFlag)) this.#selectedMissing += sign
    }
    return changed
  }

  /** The selection priority of a piece, 0 for not selected. */
  priority(piece: number): number {
    return (this.#states[piece] ?? 0) >> priorityShift
  }

  /** A piece is verified, or it is lost. */
  setVerified(piece: number, verified: boolean): void {
    if (this.#is(piece, verifiedFlag) === verified) return
    const sign = verified ? 1 : -1
    const size = this.#layout.dataSize(piece)
    this.#set(piece, verifiedFlag, verified)
    this.#verifiedCells?.add(piece, sign)
    this.#verifiedLength += sign * size
    if (this.#isSelected(piece)) this.#selectedVerified += sign * size
    this.#countFiles(0, piece, piece + 1, sign)
    if (verified) this.setUnchecked(piece, false)
    else this.setStored(piece, false)
  }

  /** Storage has a verified piece, or no longer. */
  setStored(piece: number, stored: boolean): void {
    if (this.#is(piece, storedFlag) === stored) return
    this.#set(piece, storedFlag, stored)
    this.#missing += stored ? -1 : 1
    this.#countFiles(this.#layout.files.length, piece, piece + 1, stored ? 1 : -1)
    if (this.#isSelected(piece)) this.#selectedMissing += stored ? -1 : 1
    if (!stored) this.setUnproven(piece, false)
  }

  /** Storage has the pieces `[start, end)`, and they are right: as `setVerified` and `setStored` for each, but in few steps. */
  setFound({ start, end }: Range): void {
    const states = this.#states
    for (let first = start, next = start; first < end; first = next) {
      const state = states[first] ?? 0
      while (next < end && states[next] === state) next++
      const count = next - first
      const isSelected = state >> priorityShift > 0
      if ((state & verifiedFlag) === 0) {
        const size = this.#layout.dataBytesOf({ start: first, end: next })
        this.#verifiedLength += size
        if (isSelected) this.#selectedVerified += size
        this.#verifiedCells?.addRange({ start: first, end: next }, 1)
        this.#countFiles(0, first, next, 1)
      }
      if ((state & storedFlag) === 0) {
        this.#missing -= count
        if (isSelected) this.#selectedMissing -= count
        this.#countFiles(this.#layout.files.length, first, next, 1)
      }
      if ((state & uncheckedFlag) !== 0) {
        this.#uncheckedCount -= count
        this.#uncheckedCells?.addRange({ start: first, end: next }, -1)
      }
      states.fill((state | verifiedFlag | storedFlag) & ~uncheckedFlag, first, next)
      if (this.#servedBits !== undefined && this.serves(first))
        for (let piece = first; piece < next; piece++) setBit(this.#servedBits, piece)
    }
  }

  /** A stored piece is to be hashed before it is used, or was. */
  setUnproven(piece: number, unproven: boolean): void {
    if (this.isUnproven(piece) === unproven) return
    this.#set(piece, unprovenFlag, unproven)
    this.#unprovenCount += unproven ? 1 : -1
  }

  /** A piece may be in storage and is to be hashed, or was. */
  setUnchecked(piece: number, unchecked: boolean): void {
    if (this.isUnchecked(piece) === unchecked) return
    this.#set(piece, uncheckedFlag, unchecked)
    this.#uncheckedCount += unchecked ? 1 : -1
    this.#uncheckedCells?.add(piece, unchecked ? 1 : -1)
  }

  /** Adds the bytes of the pieces `[start, end)` to those of the files that they touch, or takes them off. */
  #countFiles(first: number, start: number, end: number, sign: 1 | -1): void {
    const bytes = this.#fileBytes
    const { files } = this.#layout
    let at = this.#layout.pieceOffset(start)
    const endByte = at + this.#layout.bytesOf({ start, end })
    for (let index = this.#layout.fileAt(at); at < endByte; index++) {
      const file = files[index]
      if (file === undefined) return
      const length = Math.min(endByte, file.offset + file.length) - at
      bytes[first + index] = (bytes[first + index] ?? 0) + sign * length
      at += length
    }
  }

  #isSelected(piece: number): boolean {
    return this.priority(piece) > 0
  }

  #is(piece: number, flag: number): boolean {
    return ((this.#states[piece] ?? 0) & flag) !== 0
  }

  #set(piece: number, flag: number, on: boolean): void {
    const state = this.#states[piece] ?? 0
    this.#states[piece] = on ? state | flag : state & ~flag
    if (this.#servedBits === undefined) return
    if (this.serves(piece)) setBit(this.#servedBits, piece)
    else clearBit(this.#servedBits, piece)
  }

  /** A bit for each piece that is stored and has no other flag of the mask. */
  #bits(mask: number): Uint8Array {
    const states = this.#states
    const bits = new Uint8Array(Math.ceil(states.length / 8))
    for (let piece = 0; piece < states.length; piece++)
      if (((states[piece] ?? 0) & mask) === storedFlag) setBit(bits, piece)
    return bits
  }
}
