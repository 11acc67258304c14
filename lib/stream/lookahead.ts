/** The least that a reader's window holds, in bytes. */
const floorBytes = 2 << 20
/** The most, in bytes and in seconds at the reader's pace. */
const ceilingBytes = 32 << 20
const ceilingSeconds = 30
/** The pace that a reader is believed to have before it has shown one. */
const guessBytesPerMs = 1000

/**
 * How far ahead of a reader is fetched: little at first, twice what was read without a break, up to a ceiling in bytes
 * and seconds; a seek starts again.
 */
export class Lookahead {
  #read = 0
  #since = 0
  #waitedMs = 0

  /** Bytes from the cursor on that the window holds. */
  get bytes(): number {
    const ceiling = Math.min(ceilingBytes, Math.max(floorBytes, this.bytesPerMs * 1000 * ceilingSeconds))
    return Math.min(ceiling, floorBytes + 2 * this.#read)
  }

  /** The reader's pace, not counting the time in which it waited for us. */
  get bytesPerMs(): number {
    return this.#pace
  }

  #pace = guessBytesPerMs

  /** `bytes` were handed over at `now` after a wait of `waitedMs`. */
  consumed(bytes: number, waitedMs: number, now: number): void {
    // The time runs from the first bytes on, so what was waited for them does not count.
    if (this.#read === 0) this.#since = now
    else this.#waitedMs += waitedMs
    this.#read += bytes
    const tookMs = now - this.#since - this.#waitedMs
    // A pace shows only over some time; below that the guess stands.
    if (tookMs > 500) this.#pace = this.#read / tookMs
  }

  /** The reader has gone elsewhere. */
  reset(): void {
    this.#read = 0
    this.#waitedMs = 0
  }
}
