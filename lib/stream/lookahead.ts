/** Minimum size of a readahead window, in bytes. */
const floorBytes = 2 << 20
/** Maximum size, in bytes and in seconds at the reader's rate. */
const ceilingBytes = 32 << 20
const ceilingSeconds = 30
/** Assumed rate of a new reader. */
const guessBytesPerMs = 1000
/** Time that the rate is averaged over, without the time that the reader waited. */
const memoryMs = 30_000
/** A reader that takes this long for a chunk, and this many times as long as for the one before, has paused; the time is not averaged. */
const pauseMs = 5000
const pauseFactor = 4

/**
 * Size of a reader's readahead window: 2 MiB plus twice the bytes read since the last seek, up to a ceiling in bytes and in seconds.
 */
export class Lookahead {
  /** Bytes read since the last seek. */
  #read = 0
  #at = 0
  /** Bytes of the last chunk, the time that the reader took for the one before, and their decaying sums. */
  #bytes = 0
  #gapMs = 0
  #sumBytes = 0
  #sumMs = 0

  /** Bytes of the window, from the cursor on. */
  get bytes(): number {
    const ceiling = Math.min(ceilingBytes, Math.max(floorBytes, this.bytesPerMs * 1000 * ceilingSeconds))
    return Math.min(ceiling, floorBytes + 2 * this.#read)
  }

  /** Rate of the reader, without the time that it waited for bytes. */
  get bytesPerMs(): number {
    return this.#pace
  }

  #pace = guessBytesPerMs

  /** Counts `bytes` that were delivered at `now` after a wait of `waitedMs`. */
  consumed(bytes: number, waitedMs: number, now: number): void {
    // The time before the first bytes says nothing about the reader.
    if (this.#read > 0) this.#count(this.#bytes, Math.max(0, now - waitedMs - this.#at))
    this.#read += bytes
    this.#bytes = bytes
    this.#at = now
  }

  /** Averages the time that the reader took for `bytes`. */
  #count(bytes: number, tookMs: number): void {
    const paused = tookMs > Math.max(pauseMs, pauseFactor * this.#gapMs)
    this.#gapMs = tookMs
    if (paused) return
    this.#sumBytes += bytes
    this.#sumMs += tookMs
    // Shorter times give no useful rate, so the assumed one stays.
    if (this.#sumMs > 500) this.#pace = this.#sumBytes / this.#sumMs
    if (this.#sumMs <= memoryMs) return
    this.#sumBytes *= memoryMs / this.#sumMs
    this.#sumMs = memoryMs
  }

  /** Starts over after a seek. */
  reset(): void {
    this.#read = 0
    this.#sumBytes = this.#sumMs = this.#gapMs = 0
  }
}
