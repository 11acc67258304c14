import { monotonicMs } from './clock.ts'

/** Clock and timers as an argument, so that tests can simulate time. */
export interface Timers {
  /** Returns milliseconds on a monotonic clock. */
  now(): number
  /** Calls `callback` once after `delayMs`. Returns a function that cancels it, and does nothing after the call. */
  after(delayMs: number, callback: () => void): () => void
}

// setTimeout treats longer delays as 1 ms.
const longestMs = 2 ** 31 - 1

/** Timers of the process. Delays above 24 days are shortened to that; NaN and negative delays count as 0. */
export const systemTimers: Timers = {
  now: monotonicMs,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs > 0 ? Math.min(delayMs, longestMs) : 0)
    return () => clearTimeout(timer)
  }
}
