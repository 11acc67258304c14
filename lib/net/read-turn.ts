/** Somebody who reads, and is told to go on in the next turn. */
export interface TurnReader {
  goOn(): void
}

// A few milliseconds of hashing and copying: what else is due, such as a reader's bytes, does not wait for longer.
const bytesPerTurn = 4 << 20

/**
 * What all connections together may read in one turn of the event loop. The system offers each socket up to 8 MiB at a time, and with
 * twenty fast peers timers and streams would wait for all of it.
 */
export class ReadTurn {
  readonly #limit: number
  #bytes = 0
  #armed = false
  #waiting: TurnReader[] = []

  /** A turn of so many bytes, 4 MiB by default. */
  constructor(limit: number = bytesPerTurn) {
    this.#limit = limit
  }

  /** Counts bytes that were read; false when that is enough: the reader stops, and is told to go on in the next turn. */
  take(bytes: number, reader: TurnReader): boolean {
    this.#bytes += bytes
    if (!this.#armed) {
      this.#armed = true
      setImmediate(() => this.#next())
    }
    if (this.#bytes < this.#limit) return true
    this.#waiting.push(reader)
    return false
  }

  #next(): void {
    this.#armed = false
    this.#bytes = 0
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const reader of waiting) reader.goOn()
  }
}

/** The turn of this process. */
export const readTurn: ReadTurn = new ReadTurn()
