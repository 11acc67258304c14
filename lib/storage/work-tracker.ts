import { LazySet } from '../util/lazy-collections.ts'
import { throwLater } from '../util/user-code.ts'

/** Tracks background work that is awaited only when its owner closes. */
export class WorkTracker {
  readonly #work = new LazySet<Promise<void>>()

  /**
   * Tracks work until it settles. A rejection is a programming error: it is thrown as an uncaught exception and does not keep the owner
   * from closing.
   */
  track(work: Promise<void>): void {
    const tracked = work.catch(throwLater).finally(() => this.#work.delete(tracked))
    this.#work.add(tracked)
  }

  /** Resolves when no work is running. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work)
  }
}
