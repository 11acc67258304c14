/** A reader that can be told to continue in the next turn of the event loop. */
export interface TurnReader {
  goOn(): void
}

// A few milliseconds of hashing and copying, so that other work, such as serving a stream, is not delayed for longer.
const bytesPerTurn = 4 << 20

/**
 * Limits the bytes that all connections together read in one turn of the event loop. The system offers up to
 * 8 MiB per socket at a time; with twenty fast peers, timers and streams would wait for all of it.
 */
export class ReadTurn {
  readonly #limit: number
  #bytes = 0
  #armed = false
  #waiting: TurnReader[] = []

  /** Creates a limit in bytes per turn; default 4 MiB. */
  constructor(limit: number = bytesPerTurn) {
    this.#limit = limit
  }

  /**
   * Counts bytes that were read. Returns false if the limit is reached: the reader must stop, and its `goOn`
   * is called in the next turn.
   */
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

/** The read limit shared by all connections of this process. */
export const readTurn: ReadTurn = new ReadTurn()
