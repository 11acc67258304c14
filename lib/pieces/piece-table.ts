import type { Layout, Range } from '../metainfo/layout.ts'
import { clearBit, setBit } from '../util/bits.ts'
import { PieceBlocks } from './piece-blocks.ts'
import { PieceCounts, pieceFlags, priorityShift } from './piece-counts.ts'

const { verified, stored, unproven, unchecked } = pieceFlags
const flags = verified | stored | unproven | unchecked

/**
 * State and selection priority of every piece of a torrent, and the blocks of pieces that are not verified ({@link PieceBlocks}). Other parts
 * read it and keep no copy; {@link PieceCounts} is updated by its transitions.
 *
 * A piece is in exactly one of these states:
 *
 * * missing: to be downloaded; partial while `blocks` has an entry for it;
 * * unchecked: may be in storage, and is hashed before it counts or is downloaded;
 * * verified: its hash is right, and it is being written to storage;
 * * stored: its hash is right, and storage has it;
 * * unproven: storage has it, but its resume record is untrusted or from a run that did not end cleanly, so it is hashed before use.
 *
 * Transitions by method; any other call leaves the piece as it is:
 *
 * * `setVerified`: missing or unchecked becomes verified;
 * * `setStored`: verified becomes stored;
 * * `setFound`: missing, unchecked or verified becomes stored;
 * * `setUnproven`: stored becomes unproven;
 * * `setProven`: unproven becomes stored;
 * * `setUnchecked`: every state becomes unchecked;
 * * `setMissing`: every state becomes missing.
 *
 * A piece that becomes verified, stored or missing loses its kept blocks. A partial piece must be ended first, by `blocks.end`.
 *
 * Only the picker calls the transitions that change which pieces are downloaded (`setVerified`, `setFound`, `setUnchecked`, `setMissing`), so that
 * it can update its own structures; other parts call the picker. Every other transition is called by the part that owns the reason.
 */
export class PieceTable {
  readonly layout: Layout
  readonly counts: PieceCounts
  readonly blocks: PieceBlocks
  /** For each piece its flags in the low bits, and its selection priority above them. */
  readonly #states: Uint8Array
  /** A bit for each piece that peers may request; made at the first call, and kept up to date from then on. */
  #servedBits: Uint8Array | undefined
  readonly #listeners: ((piece: number) => void)[] = []

  /** A table in which every piece is missing and none is selected. */
  constructor(layout: Layout) {
    this.layout = layout
    this.#states = new Uint8Array(layout.pieceCount)
    this.counts = new PieceCounts(layout, this.#states)
    this.blocks = new PieceBlocks(layout)
  }

  /** Registers a listener. It is called with each piece that passes its hash check. */
  onVerified(listener: (piece: number) => void): void {
    this.#listeners.push(listener)
  }

  /**
   * Calls the listeners with a piece that passed its hash check. The caller must have updated the picker and the checks, because a listener
   * may call anything.
   */
  tellVerified(piece: number): void {
    for (const listener of this.#listeners) listener(piece)
  }

  get pieceCount(): number {
    return this.#states.length
  }

  /** Whether the hash of a piece is right, stored or not. */
  isVerified(piece: number): boolean {
    return this.#is(piece, verified)
  }

  /** Whether storage has a piece. */
  isStored(piece: number): boolean {
    return this.#is(piece, stored)
  }

  /** Whether a piece is still to be hashed before it counts. */
  isUnchecked(piece: number): boolean {
    return this.#is(piece, unchecked)
  }

  /** Whether a stored piece is still to be hashed before it is used. */
  isUnproven(piece: number): boolean {
    return this.#is(piece, unproven)
  }

  /** Whether a piece is missing, so that it may be downloaded. */
  isMissing(piece: number): boolean {
    return !this.#is(piece, verified | unchecked)
  }

  /** Whether peers may request a piece. */
  serves(piece: number): boolean {
    return isServed(this.#states[piece] ?? 0)
  }

  /** Returns the selection priority of a piece, 0 to 7; 0 is not selected. */
  priority(piece: number): number {
    return (this.#states[piece] ?? 0) >> priorityShift
  }

  /** Returns a new bitfield of the pieces that peers may request (BEP 3). */
  servedBits(): Uint8Array {
    this.#servedBits ??= this.#bits(stored | unproven)
    return this.#servedBits.slice()
  }

  /** Returns a new bitfield of the stored pieces. */
  storedBits(): Uint8Array {
    return this.#bits(stored)
  }

  /** Sets the selection priorities of consecutive pieces from `first` on, and returns the pieces whose priority changed. */
  setPriorities(first: number, priorities: Uint8Array): number[] {
    const changed: number[] = []
    for (let n = 0; n < priorities.length; n++) {
      const piece = first + n
      const priority = priorities[n] ?? 0
      if (priority === this.priority(piece)) continue
      changed.push(piece)
      this.#move(piece, piece + 1, ((this.#states[piece] ?? 0) & flags) | (priority << priorityShift))
    }
    return changed
  }

  /** Marks the pieces of a range as verified. */
  setVerified(pieces: Range): void {
    this.#gain(pieces, verified)
  }

  /** Marks the pieces of a range as stored, as a check or a resume record found them. */
  setFound(pieces: Range): void {
    this.#gain(pieces, verified | stored)
  }

  /** Marks a verified piece as stored. */
  setStored(piece: number): void {
    const state = this.#states[piece] ?? 0
    if ((state & (verified | stored)) === verified) this.#move(piece, piece + 1, state | stored)
  }

  /** Marks a stored piece as unproven. */
  setUnproven(piece: number): void {
    const state = this.#states[piece] ?? 0
    if ((state & (stored | unproven)) === stored) this.#move(piece, piece + 1, state | unproven)
  }

  /** Marks an unproven piece as stored. */
  setProven(piece: number): void {
    const state = this.#states[piece] ?? 0
    if ((state & unproven) !== 0) this.#move(piece, piece + 1, state & ~unproven)
  }

  /** Marks a piece as unchecked. */
  setUnchecked(piece: number): void {
    const state = this.#states[piece] ?? 0
    if ((state & unchecked) === 0) this.#move(piece, piece + 1, (state & ~flags) | unchecked)
  }

  /** Marks a piece as missing. */
  setMissing(piece: number): void {
    const state = this.#states[piece] ?? 0
    this.blocks.forget(piece)
    if ((state & flags) !== 0) this.#move(piece, piece + 1, state & ~flags)
  }

  /** Adds flags to the pieces of a range, one step per run of equal states. */
  #gain({ start, end }: Range, gained: number): void {
    const states = this.#states
    for (let piece = start; piece < end; piece++) this.blocks.forget(piece)
    for (let first = start, next = start; first < end; first = next) {
      const state = states[first] ?? 0
      while (next < end && states[next] === state) next++
      const after = (state | gained) & ~unchecked
      if (after !== state) this.#move(first, next, after)
    }
  }

  /** Changes the state of the pieces `[start, end)`, which all have the same. */
  #move(start: number, end: number, after: number): void {
    const before = this.#states[start] ?? 0
    this.counts.moved({ start, end }, before, after)
    this.#states.fill(after, start, end)
    const served = isServed(after)
    const bits = this.#servedBits
    if (bits === undefined || served === isServed(before)) return
    for (let piece = start; piece < end; piece++) {
      if (served) setBit(bits, piece)
      else clearBit(bits, piece)
    }
  }

  #is(piece: number, flag: number): boolean {
    return ((this.#states[piece] ?? 0) & flag) !== 0
  }

  /** Returns a bitfield of the pieces that are stored and have no other flag of the mask. */
  #bits(mask: number): Uint8Array {
    const states = this.#states
    const bits = new Uint8Array(Math.ceil(states.length / 8))
    for (let piece = 0; piece < states.length; piece++)
      if (((states[piece] ?? 0) & mask) === stored) setBit(bits, piece)
    return bits
  }
}

function isServed(state: number): boolean {
  return (state & (stored | unproven)) === stored
}
