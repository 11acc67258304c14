import { blockLength } from '../util/block-length.ts'

/** Milliseconds of busy time that an estimate remembers; older evidence fades. */
const memoryMs = 1500
/** No link is taken for faster than this, in bytes per millisecond: a burst from a socket buffer is no proof. */
const maxBytesPerMs = 4_000_000
/** A peer that has never delivered and is late is believed to need this much longer still: most such peers are slow. */
const unprovenMs = 300

/**
 * What is known of the way to one peer: its delay, its rate, and when the oldest outstanding block should be here.
 * The rate counts only time in which the peer had something to send us, so a short pipeline does not look like a slow link.
 */
export class LinkEstimate {
  /** Milliseconds from a request on an idle link to the first byte of its answer. */
  latencyMs: number
  /** When the oldest outstanding block is expected; Infinity with nothing outstanding. */
  headEta: number = Number.POSITIVE_INFINITY
  /** When the last block came; -Infinity before the first. */
  lastArrivalAt: number = Number.NEGATIVE_INFINITY
  /** Blocks that came. */
  samples = 0
  #bytes: number
  #busyMs: number

  /** An estimate that begins with a guess: round trip in milliseconds and bytes per millisecond. */
  constructor(latencyMs: number, bytesPerMs: number) {
    this.latencyMs = latencyMs
    this.#bytes = blockLength
    this.#busyMs = blockLength / bytesPerMs
  }

  /** Bytes per millisecond. */
  get bytesPerMs(): number {
    return this.#bytes / this.#busyMs
  }

  /**
   * A block of `bytes`, asked for at `sentAt`, has come at `now`. With `askedBefore` nobody knows which request it answers: that shows
   * nothing of the delay, and of the rate at most that it is lower.
   */
  arrived(bytes: number, sentAt: number, now: number, askedBefore = false): void {
    const onIdleLink = sentAt >= this.lastArrivalAt
    if (onIdleLink && !askedBefore) {
      const latency = Math.max(0, now - sentAt - bytes / this.bytesPerMs)
      this.latencyMs = latency < this.latencyMs ? latency : this.latencyMs * 0.875 + latency * 0.125
    }
    const since = Math.max(this.lastArrivalAt, sentAt + this.latencyMs)
    const busyMs = Math.max(now - since, bytes / (askedBefore ? this.bytesPerMs : maxBytesPerMs))
    if (this.samples === 0) {
      // The guess weighs a quarter of the first real block.
      this.#bytes *= 0.25
      this.#busyMs *= 0.25
    }
    this.#bytes += bytes
    this.#busyMs += busyMs
    if (this.#busyMs > memoryMs) {
      this.#bytes *= memoryMs / this.#busyMs
      this.#busyMs = memoryMs
    }
    this.samples++
    this.lastArrivalAt = now
  }

  /** Something came that was not waited for: the link was busy until `now`. */
  touched(now: number): void {
    this.lastArrivalAt = now
  }

  /** Sets when the oldest outstanding block, asked for at `sentAt`, is expected. */
  expectHead(bytes: number, sentAt: number, now: number): void {
    this.headEta = Math.max(now, sentAt + this.latencyMs) + bytes / this.bytesPerMs
  }

  /** Milliseconds by which the oldest outstanding block is late. */
  overdueMs(now: number): number {
    return Math.max(0, now - this.headEta)
  }

  /**
   * When the oldest outstanding block is expected, seen from `now`. A head that is late by some time is expected to need
   * as much again, so the estimate of a peer that fell silent recedes.
   */
  headAt(now: number): number {
    const overdueMs = this.overdueMs(now)
    const doubtMs = this.samples === 0 && overdueMs > 0 ? unprovenMs : 0
    return Math.max(this.headEta, now + overdueMs + doubtMs)
  }
}
