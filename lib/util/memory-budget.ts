/** A ceiling in bytes that several holders share; a part of it is kept for those that must not wait. */
export class MemoryBudget {
  readonly limit: number
  readonly #urgentReserve: number
  #used = 0
  readonly #waiting = new Set<() => void>()
  readonly #reclaimers = new Set<() => boolean>()

  /** A budget of `limit` bytes, the last `urgentReserve` of which only urgent reservations may use. */
  constructor(limit: number, urgentReserve: number = limit / 4) {
    this.limit = limit
    this.#urgentReserve = urgentReserve
  }

  /** Bytes reserved now. */
  get used(): number {
    return this.#used
  }

  /** Reserves `bytes` if they fit; an urgent reservation may use the reserve. While nothing is reserved, anything fits. */
  reserve(bytes: number, urgent = false): boolean {
    const ceiling = urgent ? this.limit : this.limit - this.#urgentReserve
    while (this.#used > 0 && this.#used + bytes > ceiling) if (!this.#reclaim()) return false
    this.#used += bytes
    return true
  }

  /** Reserves `bytes` for something that can do without, such as a cache: only of the first half of the budget. */
  reserveSpare(bytes: number): boolean {
    if (this.#used + bytes > this.limit / 2) return false
    this.#used += bytes
    return true
  }

  /**
   * Asks `callback` for memory when there is not enough: it releases some that it can do without and returns true, or has none. The
   * function returned ends that.
   */
  reclaimer(callback: () => boolean): () => void {
    this.#reclaimers.add(callback)
    return () => this.#reclaimers.delete(callback)
  }

  /** Gives `bytes` back and tells all who wait. */
  release(bytes: number): void {
    this.#used -= bytes
    if (this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const callback of waiting) callback()
  }

  /** Calls back once at the next release; the function returned takes the wish back. */
  onRelease(callback: () => void): () => void {
    this.#waiting.add(callback)
    return () => this.#waiting.delete(callback)
  }

  #reclaim(): boolean {
    for (const callback of this.#reclaimers) {
      if (!callback()) continue
      // Next time the others give first.
      this.#reclaimers.delete(callback)
      this.#reclaimers.add(callback)
      return true
    }
    return false
  }
}
