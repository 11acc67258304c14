import type { Timers } from '../../lib/util/timers.ts'

/** Virtual time. */
export class VirtualTimers implements Timers {
  #now = 0
  #timers: { at: number; callback: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  /** Number of waiting timers. */
  get size(): number {
    return this.#timers.length
  }

  /** Milliseconds until the next timer. */
  get nextMs(): number {
    return Math.min(...this.#timers.map(({ at }) => at)) - this.#now
  }

  /** Lets time pass, and fires due timers in order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((one) => one !== due)
      this.#now = Math.max(this.#now, due.at)
      due.callback()
    }
    this.#now = end
  }
}
