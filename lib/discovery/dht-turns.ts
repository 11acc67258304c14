import { systemTimers, type Timers } from '../util/timers.ts'

/** How {@link DhtTurns} go round. */
export interface DhtTurnsOptions {
  /** How many look-ups run at the same time; default 4. */
  readonly parallel?: number
  /** Milliseconds between the beginnings of two look-ups of torrents that are in no hurry; default 250. */
  readonly gapMs?: number
  /** Default the system's. */
  readonly timers?: Timers
}

interface Waiting {
  readonly urgent: boolean
  readonly begin: () => void
}

/**
 * Spreads the DHT look-ups of all torrents of a client over time, so that a thousand of them are no flood: few at once, those that
 * are in a hurry first, and the others one after the other with a gap between.
 */
export class DhtTurns {
  readonly #parallel: number
  readonly #gapMs: number
  readonly #timers: Timers
  readonly #urgent = new Set<Waiting>()
  readonly #patient = new Set<Waiting>()
  #running = 0
  #patientAt = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined

  /** Nobody waits. */
  constructor({ parallel = 4, gapMs = 250, timers = systemTimers }: DhtTurnsOptions = {}) {
    this.#parallel = parallel
    this.#gapMs = gapMs
    this.#timers = timers
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#urgent.size + this.#patient.size
  }

  /**
   * Resolves when it is the caller's turn, to a function that ends it and may be called again; rejects with the signal's reason, and
   * then there is nothing to end.
   */
  take(urgent: boolean, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      const list = urgent ? this.#urgent : this.#patient
      const onAbort = (): void => {
        list.delete(waiting)
        this.#go()
        reject(signal.reason)
      }
      const waiting: Waiting = {
        urgent,
        begin: () => {
          signal.removeEventListener('abort', onAbort)
          resolve(this.#begun())
        }
      }
      signal.addEventListener('abort', onAbort, { once: true })
      list.add(waiting)
      this.#go()
    })
  }

  #begun(): () => void {
    this.#running++
    let over = false
    return () => {
      if (over) return
      over = true
      this.#running--
      this.#go()
    }
  }

  #go(): void {
    this.#cancel?.()
    this.#cancel = undefined
    while (this.#running < this.#parallel) {
      const now = this.#timers.now()
      const [first = undefined] = this.#urgent.size > 0 ? this.#urgent : this.#patient
      if (first === undefined) return
      if (!first.urgent) {
        const waitMs = this.#patientAt + this.#gapMs - now
        if (waitMs > 0) {
          this.#cancel = this.#timers.after(waitMs, () => this.#go())
          return
        }
        this.#patientAt = now
      }
      this.#urgent.delete(first)
      this.#patient.delete(first)
      first.begin()
    }
  }
}
