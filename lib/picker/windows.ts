import type { Range } from '../metainfo/layout.ts'
import { LazyMap } from '../util/lazy-collections.ts'

const minBytesPerMs = 0.01

/** What one open stream wants next. */
export interface StreamWindow {
  /** The pieces `[start, end)` from the cursor on. */
  readonly pieces: Range
  /** How fast the reader consumes, for deadlines. */
  readonly bytesPerMs: number
  /** Whether the reader waits for the first piece now. */
  readonly waiting: boolean
  /** The reader comes to the first piece this much later than at once; 0 by default. */
  readonly delayMs?: number
}

/** A piece that a stream needs, and when. */
export interface UrgentPiece {
  readonly piece: number
  /** When the reader gets there at its pace; the time of the last change for the piece that is waited for. */
  readonly deadline: number
}

/** Stands for the pieces of no window; nothing is ever added to it. */
const nothing: Set<number> = new Set()

/** The windows of all open streams, merged into one list of pieces by deadline. */
export class Windows {
  readonly #pieceLength: number
  readonly #windows = new LazyMap<number, StreamWindow & { readonly at: number }>()
  #urgent: UrgentPiece[] = []
  #stale = false
  #members: Set<number> = nothing

  constructor(pieceLength: number) {
    this.#pieceLength = pieceLength
  }

  /** How many windows are open. */
  get size(): number {
    return this.#windows.size
  }

  /** Opens, moves or (with undefined) closes a window. */
  set(id: number, window: StreamWindow | undefined, now: number): void {
    if (window === undefined) this.#windows.delete(id)
    else this.#windows.set(id, { ...window, at: now })
    this.#stale = true
    this.#members = new Set()
    for (const { pieces } of this.#windows.values()) {
      for (let piece = pieces.start; piece < pieces.end; piece++) this.#members.add(piece)
    }
  }

  /** Whether a piece is in some window. */
  has(piece: number): boolean {
    return this.#members.has(piece)
  }

  /** All pieces of all windows. */
  get members(): ReadonlySet<number> {
    return this.#members
  }

  /** A piece is verified or lost again: the list is made anew at the next look. */
  changed(piece: number): void {
    if (this.#members.has(piece)) this.#stale = true
  }

  /** The pieces of all windows that `missing` says are not there, first deadline first. */
  urgent(missing: (piece: number) => boolean): readonly UrgentPiece[] {
    if (!this.#stale) return this.#urgent
    this.#stale = false
    const deadlines = new Map<number, number>()
    for (const { pieces, bytesPerMs, at, delayMs = 0 } of this.#windows.values()) {
      // Nobody reads slower than this, so deadlines stay numbers.
      const pace = Math.max(bytesPerMs, minBytesPerMs)
      for (let piece = pieces.start; piece < pieces.end; piece++) {
        if (!missing(piece)) continue
        const distance = piece - pieces.start
        const deadline = at + delayMs + (distance * this.#pieceLength) / pace
        const known = deadlines.get(piece)
        if (known === undefined || deadline < known) deadlines.set(piece, deadline)
      }
    }
    this.#urgent = [...deadlines].map(([piece, deadline]) => ({ piece, deadline }))
    this.#urgent.sort((a, b) => a.deadline - b.deadline || a.piece - b.piece)
    return this.#urgent
  }
}
