import { deferred } from '../util/concurrency.ts'
import { systemTimers, type Timers } from '../util/timers.ts'

/** How fast announces follow each other. */
export interface PaceOptions {
  /** Announces per second, default 50. */
  readonly perSecond?: number
  /** How many may come at once after a rest; default 50. */
  readonly burst?: number
  /** Goodbyes that are said at the same time; default 100. */
  readonly goodbyes?: number
  readonly timers?: Timers
}

interface Waiting {
  readonly signal: AbortSignal
  go(): void
}

/** Spreads the announces of many torrents over time: a client that starts with a thousand asks for a few at a time. */
export class AnnouncePace {
  readonly #perSecond: number
  readonly #burst: number
  readonly #timers: Timers
  readonly #goodbyes: number
  #waiting: Waiting[] = []
  /** Goodbyes that wait, and how many are being said. */
  readonly #leaving: Waiting[] = []
  #saying = 0
  #tokens: number
  #at: number
  #cancel: (() => void) | undefined

  /** A pace that has rested. */
  constructor({ perSecond = 50, burst = 50, goodbyes = 100, timers = systemTimers }: PaceOptions = {}) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#timers = timers
    this.#goodbyes = goodbyes
    this.#tokens = burst
    this.#at = timers.now()
  }

  /** Resolves when it is somebody's turn, in the order of asking; rejects with the signal's reason. */
  async turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#refill()
    if (this.#waiting.length === 0 && this.#tokens >= 1) {
      this.#tokens--
      return
    }
    const waiting = wait(signal, this.#waiting)
    this.#arm()
    await waiting
  }

  /** Runs a goodbye: at once, or when one of those before it has ended; rejects with the signal's reason when that comes first. */
  async goodbye<T>(signal: AbortSignal, say: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    if (this.#saying < this.#goodbyes) this.#saying++
    else await wait(signal, this.#leaving)
    try {
      return await say()
    } finally {
      let next = this.#leaving.shift()
      while (next?.signal.aborted === true) next = this.#leaving.shift()
      // Whoever comes next takes the place.
      if (next !== undefined) next.go()
      else this.#saying--
    }
  }

  #arm(): void {
    if (this.#cancel !== undefined || this.#waiting.length === 0) return
    const waitMs = ((1 - this.#tokens) * 1000) / this.#perSecond
    this.#cancel = this.#timers.after(waitMs, () => {
      this.#cancel = undefined
      this.#next()
    })
  }

  #next(): void {
    this.#refill()
    let gone = 0
    for (const { signal, go } of this.#waiting) {
      if (!signal.aborted) {
        // Rounding must not have it wait once more.
        if (this.#tokens < 0.999) break
        this.#tokens--
        go()
      }
      gone++
    }
    this.#waiting.splice(0, gone)
    this.#arm()
  }

  #refill(): void {
    const now = this.#timers.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.#perSecond) / 1000)
    this.#at = now
  }
}

/** Stands in a line until it is called; rejects with the signal's reason. */
async function wait(signal: AbortSignal, line: Waiting[]): Promise<void> {
  const { promise, resolve, reject } = deferred<void>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  line.push({ signal, go: () => resolve() })
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
