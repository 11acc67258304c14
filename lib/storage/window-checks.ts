import type { ByteWindow } from '../pieces/byte-window.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'

/** Pieces at the beginning of a window that are checked before all others. */
const checkAhead = 4
/** Checks at a time: one that hashes while another reads, so that the piece that is waited for shares with few. */
const mostAtOnce = 2

/** What {@link WindowChecks} ask. */
export interface WindowCheckEvents {
  /** Whether a piece is still to be checked. */
  isUnchecked(piece: number): boolean
  /** Checks a piece at once; rejects when that cannot be. */
  check(piece: number): Promise<void>
}

/**
 * Has the pieces that readers come to next checked before all others, the nearest first and few at a time. What is not begun
 * follows from where the windows are now: a reader that has gone elsewhere has nothing checked where it was.
 */
export class WindowChecks {
  readonly #events: WindowCheckEvents
  readonly #windows = new LazyMap<number, ByteWindow>()
  readonly #running = new LazySet<number>()

  constructor(events: WindowCheckEvents) {
    this.#events = events
  }

  /** A stream has opened, moved or (with undefined) closed its window. */
  set(streamId: number, window: ByteWindow | undefined): void {
    if (window === undefined) this.#windows.delete(streamId)
    else this.#windows.set(streamId, window)
  }

  /** Begins what may be begun: to be called when windows have moved or pieces are to be checked. */
  begin(): void {
    while (this.#running.size < mostAtOnce) {
      const piece = this.#next()
      if (piece === undefined) return
      this.#running.add(piece)
      void this.#check(piece)
    }
  }

  async #check(piece: number): Promise<void> {
    try {
      await this.#events.check(piece)
    } catch {
      // Whoever fails here is closed, and the background checks it otherwise.
      return
    } finally {
      this.#running.delete(piece)
    }
    this.begin()
  }

  /** The nearest piece to any reader that is to be checked and is not being checked; readers that come later come last. */
  #next(): number | undefined {
    for (const late of [false, true]) {
      for (let distance = 0; distance < checkAhead; distance++) {
        for (const { pieces, delayMs = 0 } of this.#windows.values()) {
          const piece = pieces.start + distance
          if (piece >= pieces.end || delayMs > 0 !== late) continue
          if (this.#events.isUnchecked(piece) && !this.#running.has(piece)) return piece
        }
      }
    }
    return undefined
  }
}
