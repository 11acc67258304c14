import { abortable, type Deferred, deferred } from '../util/concurrency.ts'
import { LazySet } from '../util/lazy-collections.ts'

/** Whether everything selected was there at the last look, and who waits for that. */
export class Completion {
  readonly #waiting = new LazySet<Deferred<void>>()
  #done = false

  /** Whether everything selected is there now; returns whether that is new. */
  update(done: boolean): boolean {
    if (done === this.#done) return false
    this.#done = done
    if (done) for (const waiting of this.#waiting) waiting.resolve()
    return true
  }

  /** It does not come to it: who waits is told why. */
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
