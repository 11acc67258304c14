import { deferred } from '../util/concurrency.ts'
import { systemTimers, type Timers } from '../util/timers.ts'

/** Limits of an {@link AnnouncePace}. */
export interface PaceOptions {
  /** Announces per second; default 50. */
  readonly perSecond?: number
  /** Maximum burst after a pause; default 50. */
  readonly burst?: number
  /** Maximum concurrent `stopped` and last `completed` announces; default 100. */
  readonly goodbyes?: number
  readonly timers?: Timers
}

interface Waiting {
  readonly signal: AbortSignal
  go(): void
}

/** Rate limiter for the announces of many torrents, so that a client with thousands of torrents starts gently. */
export class AnnouncePace {
  readonly #perSecond: number
  readonly #burst: number
  readonly #timers: Timers
  readonly #goodbyes: number
  #waiting: Waiting[] = []
  /** Goodbyes that wait, and the number in progress. */
  readonly #waitingGoodbyes: Waiting[] = []
  #goodbyesRunning = 0
  #tokens: number
  #at: number
  #cancel: (() => void) | undefined

  /** Creates a limiter with a full burst available. */
  constructor({ perSecond = 50, burst = 50, goodbyes = 100, timers = systemTimers }: PaceOptions = {}) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#timers = timers
    this.#goodbyes = goodbyes
    this.#tokens = burst
    this.#at = timers.now()
  }

  /** Waits for permission to announce, first come, first served; rejects with the signal's reason. */
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

  /** Runs a last announce at once, or when an earlier one ends; rejects with the signal's reason if that comes first. */
  async goodbye<T>(signal: AbortSignal, say: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    if (this.#goodbyesRunning < this.#goodbyes) this.#goodbyesRunning++
    else await wait(signal, this.#waitingGoodbyes)
    try {
      return await say()
    } finally {
      let next = this.#waitingGoodbyes.shift()
      while (next?.signal.aborted === true) next = this.#waitingGoodbyes.shift()
      // The next goodbye takes over the slot.
      if (next !== undefined) next.go()
      else this.#goodbyesRunning--
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
        // Tolerates rounding, which would otherwise cost one more wait.
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

/** Waits in a queue until `go` is called; rejects with the signal's reason. */
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
