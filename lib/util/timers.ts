import { monotonicMs } from './clock.ts'

/** Time as an argument, so that a test may drive hours in a moment. */
export interface Timers {
  /** Milliseconds on a clock that never jumps. */
  now(): number
  /** Calls back once after `delayMs`; the function returned calls it off, and may be called late. */
  after(delayMs: number, callback: () => void): () => void
}

// setTimeout takes a longer delay for 1 ms.
const longestMs = 2 ** 31 - 1

/** The timers of the process; a delay beyond 24 days is cut to that, NaN and less than 0 count as 0. */
export const systemTimers: Timers = {
  now: monotonicMs,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs > 0 ? Math.min(delayMs, longestMs) : 0)
    return () => clearTimeout(timer)
  }
}
