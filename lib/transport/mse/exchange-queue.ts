import { LazySet } from '../../util/lazy-collections.ts'
import { systemTimers, type Timers } from '../../util/timers.ts'
import { limits } from './limits.ts'

const intervalMs = 1000 / limits.exchangesPerSecond

/**
 * Spreads the key exchanges of incoming connections, which cost more than anything else that an unknown host can
 * cause with a few bytes. Exchanges above the limit wait in order.
 */
export class ExchangeQueue {
  readonly #timers: Timers
  readonly #waiting = new LazySet<() => void>()
  /** Time from which on the full burst is available. */
  #fullAt = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined

  constructor(timers: Timers = systemTimers) {
    this.#timers = timers
  }

  /** Calls `exchange` once there is room, perhaps at once. Returns a function that leaves the queue. */
  wait(exchange: () => void): () => void {
    const entry = (): void => exchange()
    this.#waiting.add(entry)
    this.#run()
    return () => {
      this.#waiting.delete(entry)
      if (this.#waiting.size === 0) this.#stop()
    }
  }

  #run(): void {
    if (this.#cancel !== undefined) return
    for (const entry of this.#waiting) {
      const now = this.#timers.now()
      const waitMs = Math.max(this.#fullAt, now) - now - (limits.exchangeBurst - 1) * intervalMs
      if (waitMs > 0) {
        this.#cancel = this.#timers.after(waitMs, () => {
          this.#cancel = undefined
          this.#run()
        })
        return
      }
      this.#fullAt = Math.max(this.#fullAt, now) + intervalMs
      this.#waiting.delete(entry)
      entry()
    }
  }

  #stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
