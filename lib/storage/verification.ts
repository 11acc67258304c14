import type { ByteWindow } from '../pieces/byte-window.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { asError } from '../util/errors.ts'
import { shareTurn } from '../util/turn-share.ts'
import type { Checker } from './checker.ts'
import { WindowChecks } from './window-checks.ts'

/** What a {@link Verification} tells. */
export interface VerificationEvents {
  /** Pieces may be in storage, and are unchecked from now on. */
  unchecked(pieces: readonly number[]): void
  /** A piece that may have been in storage is not: it is missing from now on. */
  missing(piece: number): void
  /** An unchecked piece is in storage and right: it is stored from now on. */
  found(piece: number): void
  /** A piece that was looked at is wrong; whether it must not be fetched yet. */
  failed(piece: number): boolean
  /** Whether a piece that is wrong must not be fetched yet. */
  isHeld(piece: number): boolean
  /** A stored piece that nobody could be given before it was hashed is right. */
  proven(piece: number): void
  /** A stored piece is not there after all, and is missing from now on; `wasProven` if it was verified in this run or vouched for by its record. */
  lost(piece: number, wasProven: boolean): void
  warning(error: Error): void
}

/** Pieces that are marked without a pause. */
export const piecesOfTurn: number = 5000

/** Many pieces in parts, each of which takes a few milliseconds. */
export function* partsOf(pieces: readonly number[]): Generator<readonly number[]> {
  for (let at = 0; at < pieces.length; at += piecesOfTurn) yield pieces.slice(at, at + piecesOfTurn)
}

/** Hashes what earlier runs left in storage: what nobody vouches for before it counts, the rest before it is used. */
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

  /** Pieces may be there: they are not fetched before they were checked, which those that streams wait for are at once. */
  async mark(pieces: readonly number[]): Promise<void> {
    for (const part of partsOf(pieces)) {
      await shareTurn()
      if (this.#closed) return
      this.#events.unchecked(part)
      this.#hurry()
    }
  }

  /** Checks pieces that are marked, in the background. Resolves when all were looked at. */
  async check(pieces: readonly number[]): Promise<void> {
    await this.#run(pieces, 0, (piece, ok) => this.#checked(piece, ok))
  }

  /** Pieces that were held may be fetched, unless they are still to be looked at. */
  release(pieces: readonly number[]): void {
    if (this.#closed) return
    for (const piece of pieces) if (this.#table.isUnchecked(piece)) this.#events.missing(piece)
  }

  /** Proves stored pieces of an unclean run, behind all checks. */
  async prove(pieces: readonly number[]): Promise<void> {
    await this.#run(pieces, -1, (piece, ok) => this.#proved(piece, ok))
  }

  /** A stream has opened, moved or closed its window: what is to be checked of what it begins with is checked before all others. */
  setWindow(streamId: number, window: ByteWindow | undefined): void {
    this.#windows.set(streamId, window)
    this.#hurry()
  }

  /** Hashes a stored piece at once; false (and it is fetched anew) when it is not there. */
  async proveNow(piece: number): Promise<boolean> {
    const ok = await this.#checker.checkNow(piece)
    this.#proved(piece, ok)
    return ok
  }

  /** Ends all checks; idempotent. */
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
    // One that is held stays unchecked, so that the next run looks at it again.
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
