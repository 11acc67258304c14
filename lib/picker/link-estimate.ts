import { blockLength } from '../util/block-length.ts'

/** Busy time in milliseconds that an estimate covers; older samples fade. */
const memoryMs = 1500
/** Upper bound of the rate, in bytes per millisecond: a burst from a socket buffer proves nothing about the link. */
const maxBytesPerMs = 4_000_000
/** Extra delay in milliseconds assumed for a late peer that has never delivered: most such peers are slow. */
const unprovenMs = 300

/**
 * Estimates the latency and rate of a peer, and when its oldest outstanding block will arrive. The rate counts only time
 * in which the peer had something to send, so that a short request queue does not look like a slow link.
 */
export class LinkEstimate {
  /** Milliseconds from a request on an idle link to the first byte of its answer. */
  latencyMs: number
  /** When the oldest outstanding block is expected; `Infinity` with nothing outstanding. */
  headEta: number = Number.POSITIVE_INFINITY
  /** When the last block arrived; `-Infinity` before the first. */
  lastArrivalAt: number = Number.NEGATIVE_INFINITY
  /** Number of blocks that have arrived. */
  samples = 0
  #bytes: number
  #busyMs: number

  /** Creates an estimate from an initial guess: round trip in milliseconds, rate in bytes per millisecond. */
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
   * Records a block of `bytes` that was requested at `sentAt` and arrived at `now`. With `askedBefore`, it may answer an earlier,
   * cancelled request: then the latency is not updated, and the rate can only fall.
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
      // The initial guess weighs a quarter of the first real block.
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

  /** Records data that answers no outstanding request: the link was busy until `now`. */
  touched(now: number): void {
    this.lastArrivalAt = now
  }

  /** Sets when the oldest outstanding block, requested at `sentAt`, is expected. */
  expectHead(bytes: number, sentAt: number, now: number): void {
    this.headEta = Math.max(now, sentAt + this.latencyMs) + bytes / this.bytesPerMs
  }

  /** Milliseconds by which the oldest outstanding block is overdue. */
  overdueMs(now: number): number {
    return Math.max(0, now - this.headEta)
  }

  /**
   * Returns when the oldest outstanding block is expected, as seen from `now`. A block that is overdue by some time is expected to
   * take as long again, so that the estimate of a silent peer recedes.
   */
  headAt(now: number): number {
    const overdueMs = this.overdueMs(now)
    const doubtMs = this.samples === 0 && overdueMs > 0 ? unprovenMs : 0
    return Math.max(this.headEta, now + overdueMs + doubtMs)
  }
}
