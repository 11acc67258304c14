/** The least that a reader's window holds, in bytes. */
const floorBytes = 2 << 20
/** The most, in bytes and in seconds at the reader's pace. */
const ceilingBytes = 32 << 20
const ceilingSeconds = 30
/** The pace that a reader is believed to have before it has shown one. */
const guessBytesPerMs = 1000
/** How much of the reader's own time its pace is an average of. */
const memoryMs = 30_000
/** A reader that takes this long for a chunk, and so many times as long as for the one before, has paused: that is no pace. */
const pauseMs = 5000
const pauseFactor = 4

/**
 * How far ahead of a reader is fetched: little at first, twice what was read without a break, up to a ceiling in bytes
 * and seconds; a seek starts again.
 */
export class Lookahead {
  /** Bytes read without a break. */
  #read = 0
  #at = 0
  /** The last chunk, the time that the reader took before it, and what both were on average lately. */
  #bytes = 0
  #gapMs = 0
  #sumBytes = 0
  #sumMs = 0

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
    if (this.#read > 0) this.#count(this.#bytes, Math.max(0, now - waitedMs - this.#at))
    this.#read += bytes
    this.#bytes = bytes
    this.#at = now
  }

  /** The reader took so long for `bytes`. */
  #count(bytes: number, tookMs: number): void {
    const paused = tookMs > Math.max(pauseMs, pauseFactor * this.#gapMs)
    this.#gapMs = tookMs
    if (paused) return
    this.#sumBytes += bytes
    this.#sumMs += tookMs
    // A pace shows only over some time; below that the guess stands.
    if (this.#sumMs > 500) this.#pace = this.#sumBytes / this.#sumMs
    if (this.#sumMs <= memoryMs) return
    this.#sumBytes *= memoryMs / this.#sumMs
    this.#sumMs = memoryMs
  }

  /** The reader has gone elsewhere. */
  reset(): void {
    this.#read = 0
    this.#sumBytes = this.#sumMs = this.#gapMs = 0
  }
}
