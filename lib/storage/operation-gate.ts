import { type Deferred, deferred } from '../util/concurrency.ts'
import { storageClosed } from './storage-error.ts'

/**
 * Runs operations concurrently, exclusive operations alone, and lets `close` wait for all of them. States: shut -> open -> closed.
 * Operations outside `open` reject with ERR_STORAGE_CLOSED.
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

  /** Allows operations; does nothing after `close`. */
  open(): void {
    if (this.#state === 'shut') this.#state = 'open'
  }

  /** Runs an operation concurrently with others. */
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

  /** Waits for running operations, then runs one alone; others wait meanwhile. */
  async alone<T>(operation: () => Promise<T>): Promise<T> {
    while (this.#barrier !== undefined) await this.#barrier
    if (this.#state !== 'open') throw storageClosed()
    return this.#exclusive(operation)
  }

  /** Rejects new operations, waits for running ones, then runs `last`. */
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
