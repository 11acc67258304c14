import type { Layout, Range } from '../metainfo/layout.ts'
import { clearBit, setBit } from '../util/bits.ts'
import { PieceBlocks } from './piece-blocks.ts'
import { PieceCounts, pieceFlags, priorityShift } from './piece-counts.ts'

const { verified, stored, unproven, unchecked } = pieceFlags
const flags = verified | stored | unproven | unchecked

/**
 * The one table of what there is of a torrent, piece by piece, with the selection priority of each, and block by block of pieces that are not
 * verified ({@link PieceBlocks}). All others read it and keep no copy; {@link PieceCounts} follows from its transitions.
 *
 * A piece is in exactly one of these states:
 *
 * * missing: nothing of it counts; it is partial while it is begun, and `blocks` knows what is there of it;
 * * unchecked: it may be in storage, and is hashed before it counts or is fetched;
 * * verified: it is right, and on its way to storage;
 * * stored: it is right, and storage has it;
 * * unproven: storage has it, but only an unclean earlier run says that it is right, so it is hashed before it is used.
 *
 * Transitions, by the method that is called; one that is not listed leaves the piece as it is:
 *
 * * `setVerified`: missing or unchecked becomes verified;
 * * `setStored`: verified becomes stored;
 * * `setFound`: missing, unchecked or verified becomes stored;
 * * `setUnproven`: stored becomes unproven;
 * * `setProven`: unproven becomes stored;
 * * `setUnchecked`: each of them becomes unchecked;
 * * `setMissing`: each of them becomes missing.
 *
 * A piece that becomes verified, stored or missing has no stored blocks any more, and `blocks.end` ends a partial one before.
 *
 * Transitions that change which pieces are to be fetched (`setVerified`, `setFound`, `setUnchecked`, `setMissing`) are called by the picker alone, together
 * with what it does about it; others tell the picker. The rest, and the priorities, concern the state alone and are called by their owners:
 * the picker follows new priorities when it is told of them.
 */
export class PieceTable {
  readonly layout: Layout
  readonly counts: PieceCounts
  readonly blocks: PieceBlocks
  /** For each piece its flags, and above them its selection priority. */
  readonly #states: Uint8Array
  /** A bit for each piece that may be given to peers; counted at the first call, and kept up from then on. */
  #servedBits: Uint8Array | undefined
  readonly #listeners: ((piece: number) => void)[] = []

  /** A table in which every piece is missing and none is selected. */
  constructor(layout: Layout) {
    this.layout = layout
    this.#states = new Uint8Array(layout.pieceCount)
    this.counts = new PieceCounts(layout, this.#states)
    this.blocks = new PieceBlocks(layout)
  }

  /** Calls `listener` with each piece that is found to be right from now on, in the order of such calls. */
  onVerified(listener: (piece: number) => void): void {
    this.#listeners.push(listener)
  }

  /**
   * Tells the listeners that a piece was found to be right. Called once picker and checks have followed: a listener may select or close, and
   * must find everything in its new state.
   */
  tellVerified(piece: number): void {
    for (const listener of this.#listeners) listener(piece)
  }

  /** How many pieces there are. */
  get pieceCount(): number {
    return this.#states.length
  }

  /** Whether a piece is right, be it stored by now or not. */
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

  /** Whether a piece is missing, so that it may be fetched. */
  isMissing(piece: number): boolean {
    return !this.#is(piece, verified | unchecked)
  }

  /** Whether a piece may be given to peers. */
  serves(piece: number): boolean {
    return isServed(this.#states[piece] ?? 0)
  }

  /** The selection priority of a piece, 0 for not selected. */
  priority(piece: number): number {
    return (this.#states[piece] ?? 0) >> priorityShift
  }

  /** A bit for each piece that may be given to peers (BEP 3); the caller's own. */
  servedBits(): Uint8Array {
    this.#servedBits ??= this.#bits(stored | unproven)
    return this.#servedBits.slice()
  }

  /** A bit for each piece that storage has; the caller's own. */
  storedBits(): Uint8Array {
    return this.#bits(stored)
  }

  /** Sets the selection priority of neighbouring pieces and returns those of them whose priority changed. */
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

  /** The pieces of a range are right. */
  setVerified(pieces: Range): void {
    this.#gain(pieces, verified)
  }

  /** Storage has the pieces of a range, and they are right. */
  setFound(pieces: Range): void {
    this.#gain(pieces, verified | stored)
  }

  /** Storage has a verified piece. */
  setStored(piece: number): void {
    const state = this.#states[piece] ?? 0
    if ((state & (verified | stored)) === verified) this.#move(piece, piece + 1, state | stored)
  }

  /** A stored piece is to be hashed before it is used. */
  setUnproven(piece: number): void {
    const state = this.#states[piece] ?? 0
    if ((state & (stored | unproven)) === stored) this.#move(piece, piece + 1, state | unproven)
  }

  /** A stored piece was hashed. */
  setProven(piece: number): void {
    const state = this.#states[piece] ?? 0
    if ((state & unproven) !== 0) this.#move(piece, piece + 1, state & ~unproven)
  }

  /** A piece may be in storage, and is to be hashed. */
  setUnchecked(piece: number): void {
    const state = this.#states[piece] ?? 0
    if ((state & unchecked) === 0) this.#move(piece, piece + 1, (state & ~flags) | unchecked)
  }

  /** A piece is not there. */
  setMissing(piece: number): void {
    const state = this.#states[piece] ?? 0
    this.blocks.forget(piece)
    if ((state & flags) !== 0) this.#move(piece, piece + 1, state & ~flags)
  }

  /** Pieces of a range come to be right, or right and stored; in few steps where neighbours have the same state. */
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

  /** The pieces `[start, end)`, which have the same state, get another one. */
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

  /** A bit for each piece that is stored and has no other flag of the mask. */
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
