import type { Range } from '../metainfo/layout.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import { cancelPiece, cancelUnwanted } from './cancels.ts'
import type { DownloadState } from './download-state.ts'

/**
 * State transitions of pieces and windows. Each updates everything but new requests; the caller sends those afterwards.
 *
 * A piece leaves its old state in one way: its requests are cancelled, and it is closed if it is partial. Then the table or the
 * windows are updated, and after that interest and the order of missing pieces.
 */
export class PieceChanges {
  readonly #state: DownloadState

  constructor(state: DownloadState) {
    this.#state = state
  }

  /** Handles a change of these pieces' priorities in the table. Returns false if it does not affect what is fetched. */
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

  /** Opens, moves or (with undefined) closes a window. */
  setWindow(id: number, window: ByteWindow | undefined, now: number): void {
    const state = this.#state
    const pieces = state.windows.changesOf(id, window)
    state.windows.set(id, window, now)
    state.rewant(pieces)
    // The reader may come back, so its partial pieces stay in memory.
    if (pieces.some((piece) => state.partials.has(piece) && !state.wants(piece)))
      cancelUnwanted(state, true, now)
  }

  /** Lets all peers search all partial pieces again, and asks for memory again. */
  #lookAgain(): void {
    this.#state.offerMemory()
    this.#state.readiness.unstarve()
  }

  /** Marks pieces as verified. `stored` says whether they were found in storage. */
  markVerified({ start, end }: Range, stored: boolean, now: number): void {
    const state = this.#state
    for (let piece = start; piece < end; piece++) {
      state.avoided.delete(piece)
      this.#leave(piece, now)
    }
    if (stored) state.table.setFound({ start, end })
    else state.table.setVerified({ start, end })
    state.gained(start, end)
  }

  /** Marks pieces as unchecked: they may be in storage and are not fetched until that is known. */
  unchecked(pieces: readonly number[], now: number): void {
    const state = this.#state
    for (const piece of pieces) {
      this.#leave(piece, now)
      state.table.setUnchecked(piece)
      state.windows.changed(piece)
    }
    state.rewant(pieces)
  }

  /** Marks a piece as missing, so that it is fetched again except for the blocks that are `kept`. */
  missing(piece: number, kept: readonly number[], now: number): void {
    const state = this.#state
    this.#leave(piece, now)
    state.table.setMissing(piece)
    if (kept.length > 0) state.partials.setKept(piece, kept)
    state.windows.changed(piece)
    state.rewant([piece])
    state.readiness.unstarve()
  }

  /** Cancels the requests for a piece and closes it if it is partial. The memory of a complete piece belongs to its hash check. */
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
