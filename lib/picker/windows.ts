import type { Range } from '../metainfo/layout.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { compareRequests } from './request-order.ts'

const minBytesPerMs = 0.01
/**
 * Maximum number of ordered pieces of all windows; each window has an equal share. A few readers have all their pieces in the
 * order, and many readers with long windows of small pieces cost no more.
 */
const mostUrgent = 4096
/** Interval at which deadlines that depend on the time are recomputed. */
const staleMs = 200

type PlacedWindow = ByteWindow & { readonly at: number }

/** A piece that a stream needs, and its deadline. */
export interface UrgentPiece {
  readonly stage: 'urgent'
  readonly piece: number
  /** When the reader gets there at its current rate. In the past for a piece that a reader waits for: when its wait began. */
  readonly deadline: number
}

const none: Range = { start: 0, end: 0 }

/** The windows of all open streams, merged into one list of pieces by deadline. */
export class Windows {
  readonly #pieceLength: number
  readonly #windows = new LazyMap<number, PlacedWindow>()
  #urgent: UrgentPiece[] = []
  /** When `#urgent` must be rebuilt. */
  #staleAt = Number.POSITIVE_INFINITY
  /** Number of windows that contain each piece. */
  readonly #members = new LazyMap<number, number>()

  constructor(pieceLength: number) {
    this.#pieceLength = pieceLength
  }

  /** Number of open windows. */
  get size(): number {
    return this.#windows.size
  }

  /** Returns a window, or undefined if it is not open. */
  get(id: number): ByteWindow | undefined {
    return this.#windows.get(id)
  }

  /** Returns when the reader of a window needs a piece, in milliseconds on the clock of `now`; `Infinity` if the window is not open. */
  deadline(id: number, piece: number, now: number): number {
    const window = this.#windows.get(id)
    if (window === undefined) return Number.POSITIVE_INFINITY
    return this.#firstDeadline(window, now) + (piece - window.pieces.start) * this.#pieceMs(window)
  }

  /** Opens, moves or (with undefined) closes a window. */
  set(id: number, window: ByteWindow | undefined, now: number): void {
    const before = this.#windows.get(id)?.pieces ?? none
    if (window === undefined) this.#windows.delete(id)
    else this.#windows.set(id, { ...window, at: now })
    this.#staleAt = Number.NEGATIVE_INFINITY
    const after = window?.pieces ?? none
    for (const piece of without(before, after)) {
      const count = (this.#members.get(piece) ?? 0) - 1
      if (count > 0) this.#members.set(piece, count)
      else this.#members.delete(piece)
    }
    for (const piece of without(after, before)) this.#members.set(piece, (this.#members.get(piece) ?? 0) + 1)
  }

  /** Returns the pieces that would enter or leave the window if it were set to this one. */
  changesOf(id: number, window: ByteWindow | undefined): number[] {
    const before = this.#windows.get(id)?.pieces ?? none
    const after = window?.pieces ?? none
    return [...without(before, after), ...without(after, before)]
  }

  /** Whether a piece is in some window. */
  has(piece: number): boolean {
    return this.#members.has(piece)
  }

  /** Schedules a rebuild of the list, because a piece was verified or lost. */
  changed(piece: number): void {
    if (this.#members.has(piece)) this.#staleAt = Number.NEGATIVE_INFINITY
  }

  /** Returns the pieces of all windows for which `missing` returns true, earliest deadline first. */
  urgent(missing: (piece: number) => boolean, now: number): readonly UrgentPiece[] {
    if (now < this.#staleAt) return this.#urgent
    const deadlines = new Map<number, number>()
    let moving = false
    const most = Math.ceil(mostUrgent / this.#windows.size)
    for (const window of this.#windows.values()) {
      const { pieces } = window
      const pieceMs = this.#pieceMs(window)
      const first = this.#firstDeadline(window, now)
      moving ||= !window.waiting
      for (let piece = pieces.start, count = 0; piece < pieces.end && count < most; piece++) {
        if (!missing(piece)) continue
        count++
        const deadline = first + (piece - pieces.start) * pieceMs
        const known = deadlines.get(piece)
        if (known === undefined || deadline < known) deadlines.set(piece, deadline)
      }
    }
    this.#staleAt = moving && deadlines.size > 0 ? now + staleMs : Number.POSITIVE_INFINITY
    this.#urgent = [...deadlines].map(([piece, deadline]) => ({ stage: 'urgent', piece, deadline }))
    this.#urgent.sort(compareRequests)
    return this.#urgent
  }

  /** Returns the milliseconds that the reader takes for a piece. */
  #pieceMs({ bytesPerMs }: PlacedWindow): number {
    // The lower bound keeps deadlines finite.
    return this.#pieceLength / Math.max(bytesPerMs, minBytesPerMs)
  }

  /**
   * Returns when the first piece is needed. A waiting reader needs it since its wait began. A reader that should have reached the
   * next piece by now, and has not asked for more, is expected to need as long again.
   */
  #firstDeadline(window: PlacedWindow, now: number): number {
    const { at, behind, delayMs = 0, waiting } = window
    const cursor = behind === undefined ? undefined : this.#windows.get(behind)
    if (cursor !== undefined && cursor.behind === undefined) return this.#firstDeadline(cursor, now) + delayMs
    const overdueMs = waiting ? 0 : Math.max(0, now - at - this.#pieceMs(window))
    return at + 2 * overdueMs + delayMs
  }
}

/** Returns the numbers of a range that are not in `other`. */
function without(range: Range, other: Range): number[] {
  const numbers: number[] = []
  for (let number = range.start; number < Math.min(range.end, other.start); number++) numbers.push(number)
  for (let number = Math.max(range.start, other.end); number < range.end; number++) numbers.push(number)
  return numbers
}
