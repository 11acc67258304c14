import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

const resolutionMs = 1

/** How late a timer came, in milliseconds: what the event loop was held by one thing after the other. */
export interface DelayReport {
  readonly p99Ms: number
  readonly maxMs: number
}

/** Watches how long the event loop is held, by a timer of 1 ms. */
export class LoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs })

  /** Watches from now on. */
  constructor() {
    this.#histogram.enable()
  }

  /** Ends watching. What is recorded is the time between two calls, so the timer's own millisecond is taken off. */
  stop(): DelayReport {
    this.#histogram.disable()
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs)
    return { p99Ms: late(this.#histogram.percentile(99)), maxMs: late(this.#histogram.max) }
  }
}
