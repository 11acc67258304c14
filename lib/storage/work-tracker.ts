import { LazySet } from '../util/lazy-collections.ts'

/** Work under way that is awaited only when its owner closes. */
export class WorkTracker {
  readonly #work = new LazySet<Promise<void>>()

  /** Tracks work until it is over. An exception of a listener is a fault of the program and shows as one; it does not keep others from closing. */
  track(work: Promise<void>): void {
    const tracked = work.catch(throwLater).finally(() => this.#work.delete(tracked))
    this.#work.add(tracked)
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work)
  }
}

/** Throws on the next tick, where no caller catches it. */
export function throwLater(thrown: unknown): void {
  process.nextTick(() => {
    throw thrown
  })
}
