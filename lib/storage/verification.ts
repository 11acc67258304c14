import type { ByteWindow } from '../pieces/byte-window.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { asError } from '../util/errors.ts'
import { yieldToEventLoop } from '../util/slices.ts'
import type { Checker } from './checker.ts'
import { WindowChecks } from './window-checks.ts'

/** Callbacks of a {@link Verification}. */
export interface VerificationEvents {
  /** Called when pieces may be in storage; they are unchecked from now on. */
  unchecked(pieces: readonly number[]): void
  /** Called when an unchecked piece is not in storage; it is missing from now on. */
  missing(piece: number): void
  /** Called when an unchecked piece is in storage and its hash matches; it is stored from now on. */
  found(piece: number): void
  /** Called when a checked piece is corrupt; returns true if it must not be requested yet. */
  failed(piece: number): boolean
  /** Returns whether a corrupt piece must not be requested yet. */
  isHeld(piece: number): boolean
  /** Called when the hash of an unproven piece matches; it may be served from now on. */
  proven(piece: number): void
  /**
   * Called when a stored piece turns out to be lost; it is missing from now on. `wasProven` is false if the piece was unproven, true if it
   * was verified in this run or its record was trusted.
   */
  lost(piece: number, wasProven: boolean): void
  warning(error: Error): void
}

/** Pieces processed before yielding to the event loop. */
export const piecesPerSlice: number = 5000

/** Splits pieces into parts that each take a few milliseconds. */
export function* partsOf(pieces: readonly number[]): Generator<readonly number[]> {
  for (let at = 0; at < pieces.length; at += piecesPerSlice) yield pieces.slice(at, at + piecesPerSlice)
}

/** Hashes pieces that earlier runs left in storage: unchecked pieces before they count as stored, unproven ones before they are used. */
export class Verification {
  readonly #checker: Checker
  readonly #table: PieceTable
  readonly #events: VerificationEvents
  readonly #windows: WindowChecks
  #closed = false

  constructor(checker: Checker, table: PieceTable, events: VerificationEvents) {
    this.#checker = checker
    this.#table = table
    this.#events = events
    this.#windows = new WindowChecks({
      isUnchecked: (piece) => table.isUnchecked(piece) && !events.isHeld(piece),
      check: (piece) => this.#now(piece)
    })
  }

  /** Marks pieces as unchecked: they are not requested before they were checked. Pieces that streams wait for are checked immediately. */
  async mark(pieces: readonly number[]): Promise<void> {
    for (const part of partsOf(pieces)) {
      await yieldToEventLoop()
      if (this.#closed) return
      this.#events.unchecked(part)
      this.#hurry()
    }
  }

  /** Checks marked pieces in the background; resolves when all were checked. */
  async check(pieces: readonly number[]): Promise<void> {
    await this.#run(pieces, 0, (piece, ok) => this.#checked(piece, ok))
  }

  /** Lets held pieces be requested; those still unchecked become missing. */
  release(pieces: readonly number[]): void {
    if (this.#closed) return
    for (const piece of pieces) if (this.#table.isUnchecked(piece)) this.#events.missing(piece)
  }

  /** Hashes unproven pieces (after an unclean stop, or from an untrusted record) in the background, at a lower priority than `check`. */
  async prove(pieces: readonly number[]): Promise<void> {
    await this.#run(pieces, -1, (piece, ok) => this.#proved(piece, ok))
  }

  /** Sets the window of a stream, or removes it with undefined. Unchecked pieces at the start of a window are checked before all others. */
  setWindow(streamId: number, window: ByteWindow | undefined): void {
    this.#windows.set(streamId, window)
    this.#hurry()
  }

  /** Hashes a stored piece immediately; returns false, and the piece is requested again, when it is lost. */
  async proveNow(piece: number): Promise<boolean> {
    const ok = await this.#checker.checkNow(piece)
    this.#proved(piece, ok)
    return ok
  }

  /** Aborts all checks; idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#checker.close()
  }

  #hurry(): void {
    if (this.#table.counts.uncheckedCount > 0) this.#windows.begin()
  }

  async #now(piece: number): Promise<void> {
    this.#checked(piece, await this.#checker.checkNow(piece))
  }

  async #run(
    pieces: readonly number[],
    priority: number,
    onResult: (piece: number, ok: boolean) => void
  ): Promise<void> {
    try {
      await this.#checker.check(pieces, { onResult, priority })
    } catch (thrown) {
      if (!this.#closed) this.#events.warning(asError(thrown))
    }
  }

  #checked(piece: number, ok: boolean): void {
    if (!this.#table.isUnchecked(piece) || this.#closed) return
    // A held piece stays unchecked, so that the next run checks it again.
    if (!ok && this.#events.failed(piece)) return
    if (ok) this.#events.found(piece)
    else this.#events.missing(piece)
  }

  #proved(piece: number, ok: boolean): void {
    if (this.#closed || !this.#table.isStored(piece)) return
    const wasUnproven = this.#table.isUnproven(piece)
    this.#table.setProven(piece)
    if (!ok) this.#events.lost(piece, !wasUnproven)
    else if (wasUnproven) this.#events.proven(piece)
  }
}
