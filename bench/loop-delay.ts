import { closeSync, openSync, readSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

const resolutionMs = 1
const tickMs = 2

/** How late timers fired, in milliseconds: how long single tasks blocked the event loop. */
export interface DelayReport {
  readonly p99Ms: number
  readonly maxMs: number
  /** `maxMs` without the time in which this thread was ready and the machine ran others; undefined where the system does not report that. */
  readonly ownMaxMs: number | undefined
}

/** Time that this thread has waited for a processor so far, in milliseconds (Linux). */
class RunQueueClock {
  readonly #handle: number = openSync('/proc/thread-self/schedstat', 'r')
  readonly #memory = Buffer.alloc(128)

  read(): number {
    const length = readSync(this.#handle, this.#memory, 0, this.#memory.length, 0)
    return Number(this.#memory.toString('latin1', 0, length).split(' ')[1]) / 1e6
  }

  close(): void {
    closeSync(this.#handle)
  }
}

/** Measures how long the event loop is blocked, with timers of 1 and 2 ms. */
export class LoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs })
  readonly #clock: RunQueueClock | undefined = openClock()
  readonly #timer: NodeJS.Timeout | undefined
  #ownMaxMs = 0

  /** Starts the measurement. */
  constructor() {
    this.#histogram.enable()
    const clock = this.#clock
    if (clock === undefined) return
    let before = performance.now()
    let waitedBefore = clock.read()
    this.#timer = setInterval(() => {
      const now = performance.now()
      const waited = clock.read()
      this.#ownMaxMs = Math.max(this.#ownMaxMs, now - before - (waited - waitedBefore) - tickMs)
      before = now
      waitedBefore = waited
    }, tickMs)
  }

  /** Stops and returns the result. The histogram holds the time between two calls, so the timer's own interval is subtracted. */
  stop(): DelayReport {
    this.#histogram.disable()
    clearInterval(this.#timer)
    this.#clock?.close()
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs)
    return {
      p99Ms: late(this.#histogram.percentile(99)),
      maxMs: late(this.#histogram.max),
      ownMaxMs: this.#timer === undefined ? undefined : this.#ownMaxMs
    }
  }
}

function openClock(): RunQueueClock | undefined {
  try {
    return new RunQueueClock()
  } catch {
    return undefined
  }
}
