/** A rate limit in bytes per second. One `take` may overdraw it. `Infinity` is no limit, 0 lets nothing pass. */
export class TokenBucket {
  #rate: number
  #tokens: number
  #at: number

  /** Creates a bucket for `bytesPerSecond`, full at `now` (ms); it holds a quarter of a second's worth. */
  constructor(bytesPerSecond: number, now: number) {
    this.#rate = bytesPerSecond
    this.#tokens = this.#burst()
    this.#at = now
  }

  /** Limit in bytes per second. */
  get rate(): number {
    return this.#rate
  }

  /** Changes the limit at `now`; a debt remains. */
  setRate(bytesPerSecond: number, now: number): void {
    this.#refill(now)
    this.#rate = bytesPerSecond
    this.#tokens = Math.min(this.#tokens, this.#burst())
  }

  /** Takes `bytes`; returns the milliseconds until more may be taken, 0 if at once. */
  take(bytes: number, now: number): number {
    if (this.#rate === Number.POSITIVE_INFINITY) return 0
    this.#refill(now)
    this.#tokens -= bytes
    return this.waitMs(now)
  }

  /** Returns the milliseconds from `now` until something may be taken: 0, more, or `Infinity` if the limit is 0. */
  waitMs(now: number): number {
    if (this.#rate === Number.POSITIVE_INFINITY) return 0
    if (this.#rate === 0) return Number.POSITIVE_INFINITY
    this.#refill(now)
    return this.#tokens > 0 ? 0 : Math.max(1, (-this.#tokens * 1000) / this.#rate)
  }

  #burst(): number {
    return this.#rate === Number.POSITIVE_INFINITY ? 0 : this.#rate / 4
  }

  #refill(now: number): void {
    if (now > this.#at && this.#rate !== Number.POSITIVE_INFINITY) {
      this.#tokens = Math.min(this.#burst(), this.#tokens + ((now - this.#at) * this.#rate) / 1000)
    }
    this.#at = Math.max(this.#at, now)
  }
}
