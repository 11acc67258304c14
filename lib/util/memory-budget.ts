/** A ceiling in bytes that several holders share; a part of it is kept for those that must not wait. */
export class MemoryBudget {
  readonly limit: number
  readonly #urgentReserve: number
  #used = 0
  readonly #waiting = new Set<() => void>()

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
    if (this.#used > 0 && this.#used + bytes > ceiling) return false
    this.#used += bytes
    return true
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
}
