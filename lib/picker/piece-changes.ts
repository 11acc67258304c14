import type { Range } from '../metainfo/layout.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import { cancelPiece, cancelUnwanted } from './cancels.ts'
import type { DownloadState } from './download-state.ts'

/**
 * The transitions of pieces and windows, each with all that the picker does about it but new requests, which its caller then has sent.
 * A piece leaves the state that it had in one way: what peers are asked for of it is cancelled, and it ends if it is partial. Then the
 * table, or the windows, take the change, and interest and the order of missing pieces follow.
 */
export class PieceChanges {
  readonly #state: DownloadState

  constructor(state: DownloadState) {
    this.#state = state
  }

  /** The priorities of these pieces have changed in the table. False where that changes nothing that is fetched. */
  reselected(pieces: readonly number[], now: number): boolean {
    const state = this.#state
    const { table } = state
    const missing = pieces.filter((piece) => !table.isVerified(piece))
    if (missing.length === 0 && state.windows.size === 0) return false
    state.rewant(missing)
    if (pieces.some((piece) => table.priority(piece) === 0)) cancelUnwanted(state, false, now)
    this.#lookAgain()
    return true
  }

  /** A window is opened, moved or (with undefined) closed. */
  moved(id: number, window: ByteWindow | undefined, now: number): void {
    const state = this.#state
    const pieces = state.windows.moved(id, window)
    state.windows.set(id, window, now)
    state.rewant(pieces)
    // Its reader may come back.
    if (pieces.some((piece) => state.partials.has(piece) && !state.wants(piece)))
      cancelUnwanted(state, true, now)
  }

  /** All peers and partial pieces are looked at again, and memory is asked for again. */
  #lookAgain(): void {
    this.#state.offerMemory()
    this.#state.readiness.unstarve()
  }

  /** Pieces are right, and `stored` says whether they were found in storage. */
  had({ start, end }: Range, stored: boolean, now: number): void {
    const state = this.#state
    for (let piece = start; piece < end; piece++) {
      state.avoided.delete(piece)
      this.#leave(piece, now)
    }
    if (stored) state.table.setFound({ start, end })
    else state.table.setVerified({ start, end })
    state.gained(start, end)
  }

  /** Pieces may be in storage: they are not fetched until it is known whether they are. */
  unchecked(pieces: readonly number[], now: number): void {
    const state = this.#state
    for (const piece of pieces) {
      this.#leave(piece, now)
      state.table.setUnchecked(piece)
      state.windows.changed(piece)
    }
    state.rewant(pieces)
  }

  /** A piece is not there: it is fetched anew, but for the blocks that are `kept`. */
  missing(piece: number, kept: readonly number[], now: number): void {
    const state = this.#state
    this.#leave(piece, now)
    state.table.setMissing(piece)
    if (kept.length > 0) state.partials.store(piece, kept)
    state.windows.changed(piece)
    state.rewant([piece])
    state.readiness.unstarve()
  }

  /** Cancels what peers are asked for of a piece and ends it, if it is partial; the memory of a whole one is the business of its judge. */
  #leave(piece: number, now: number): void {
    const state = this.#state
    if (!state.partials.has(piece)) return
    cancelPiece(state, piece, now)
    const partial = state.partials.get(piece)
    if (partial === undefined) return
    const { complete } = partial
    state.close(piece)
    if (!complete) state.sink.abandon(piece)
  }
}
