import { type Deferred, deferred } from '../util/concurrency.ts'
import { storageClosed } from './storage-error.ts'

/**
 * Lets operations overlap, an exclusive one run alone, and `close` wait for all of them. States: shut -> open ->
 * closed; every operation outside `open` rejects with ERR_STORAGE_CLOSED.
 */
export class OperationGate {
  #state: 'shut' | 'open' | 'closed' = 'shut'
  #active = 0
  #barrier: Promise<void> | undefined
  #idle: Deferred<void> | undefined

  /** Whether operations may begin. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Lets operations begin; nothing after `close`. */
  open(): void {
    if (this.#state === 'shut') this.#state = 'open'
  }

  /** Runs an operation beside others. */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    while (this.#barrier !== undefined) await this.#barrier
    if (this.#state !== 'open') throw storageClosed()
    this.#active++
    try {
      return await operation()
    } finally {
      if (--this.#active === 0) this.#idle?.resolve()
    }
  }

  /** Waits for the operations under way, then runs one alone; the others wait meanwhile. */
  async alone<T>(operation: () => Promise<T>): Promise<T> {
    while (this.#barrier !== undefined) await this.#barrier
    if (this.#state !== 'open') throw storageClosed()
    return this.#exclusive(operation)
  }

  /** Refuses new operations, waits for those under way, then runs `last`. */
  async close(last: () => Promise<void>): Promise<void> {
    this.#state = 'closed'
    while (this.#barrier !== undefined) await this.#barrier
    await this.#exclusive(last)
  }

  async #exclusive<T>(operation: () => Promise<T>): Promise<T> {
    const barrier = deferred<void>()
    this.#barrier = barrier.promise
    try {
      if (this.#active > 0) {
        this.#idle = deferred<void>()
        await this.#idle.promise
        this.#idle = undefined
      }
      return await operation()
    } finally {
      this.#barrier = undefined
      barrier.resolve()
    }
  }
}
