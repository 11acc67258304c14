/** A rate limit in bytes per second that may go into debt by one take; `Infinity` is no limit, 0 lets nothing pass. */
export class TokenBucket {
  #rate: number
  #tokens: number
  #at: number

  /** A bucket of `bytesPerSecond`, full at `now` (milliseconds); it holds at most a quarter of a second. */
  constructor(bytesPerSecond: number, now: number) {
    this.#rate = bytesPerSecond
    this.#tokens = this.#burst()
    this.#at = now
  }

  /** The limit in bytes per second. */
  get rate(): number {
    return this.#rate
  }

  /** Changes the limit from `now` on; a debt stays. */
  setRate(bytesPerSecond: number, now: number): void {
    this.#refill(now)
    this.#rate = bytesPerSecond
    this.#tokens = Math.min(this.#tokens, this.#burst())
  }

  /** Takes `bytes` and returns the milliseconds until the bucket is out of debt: 0 when more may be taken at once. */
  take(bytes: number, now: number): number {
    if (this.#rate === Number.POSITIVE_INFINITY) return 0
    this.#refill(now)
    this.#tokens -= bytes
    return this.waitMs(now)
  }

  /** The milliseconds from `now` until something may be taken: 0, more, or `Infinity` for a limit of 0. */
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
