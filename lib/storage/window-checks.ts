import type { ByteWindow } from '../pieces/byte-window.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'

/** Pieces at the start of a window that are checked before all others. */
const checkAhead = 4
/** Maximum number of concurrent checks: one hashes while another reads, and the most urgent piece shares the disk with few. */
const mostAtOnce = 2

/** Callbacks of {@link WindowChecks}. */
export interface WindowCheckEvents {
  /** Returns whether a piece is still to be checked. */
  isUnchecked(piece: number): boolean
  /** Checks a piece immediately; rejects when that is impossible. */
  check(piece: number): Promise<void>
}

/**
 * Checks the pieces that readers need next before all others, nearest first and few at a time. Chooses each piece by the current windows,
 * so that no piece is checked that readers have left behind.
 */
export class WindowChecks {
  readonly #events: WindowCheckEvents
  readonly #windows = new LazyMap<number, ByteWindow>()
  readonly #running = new LazySet<number>()

  constructor(events: WindowCheckEvents) {
    this.#events = events
  }

  /** Sets the window of a stream, or removes it with undefined. */
  set(streamId: number, window: ByteWindow | undefined): void {
    if (window === undefined) this.#windows.delete(streamId)
    else this.#windows.set(streamId, window)
  }

  /** Begins checks up to the limit; call it when windows move or pieces become unchecked. */
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
      // The checker is closed, or a background check will cover the piece.
      return
    } finally {
      this.#running.delete(piece)
    }
    this.begin()
  }

  /** Returns the nearest unchecked piece of any reader that is not being checked; delayed readers come last. */
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
