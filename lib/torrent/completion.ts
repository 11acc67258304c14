import { abortable, type Deferred, deferred } from '../util/concurrency.ts'
import { LazySet } from '../util/lazy-collections.ts'

/** Tracks whether everything selected is stored, and resolves `whenDone` calls. */
export class Completion {
  readonly #waiting = new LazySet<Deferred<void>>()
  #done = false

  /** Sets whether everything selected is stored; returns whether that has changed. */
  update(done: boolean): boolean {
    if (done === this.#done) return false
    this.#done = done
    if (done) for (const waiting of this.#waiting) waiting.resolve()
    return true
  }

  /** Rejects all waiting calls with `error`. */
  fail(error: Error): void {
    for (const waiting of this.#waiting) waiting.reject(error)
  }

  /** Resolves at the next `update(true)`; rejects at the next `fail`, or when the signal is aborted. */
  async wait(signal: AbortSignal | undefined): Promise<void> {
    const waiting = deferred<void>()
    this.#waiting.add(waiting)
    try {
      await abortable(waiting.promise, signal)
    } finally {
      this.#waiting.delete(waiting)
    }
  }
}
