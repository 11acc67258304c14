import { monotonicMs } from '../util/clock.ts'
import { type Deferred, deferred } from '../util/concurrency.ts'
import { systemCode } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { storageClosed } from './storage-error.ts'

/** What a {@link FilePool} needs of a handle. */
export interface Closable {
  close(): Promise<void>
}

/** Bounds of a {@link FilePool}. */
export interface FilePoolOptions {
  /** Most handles that are open at a time. */
  readonly maxOpen: number
  /** A handle that nobody used for so long is closed. Default 10,000. */
  readonly idleMs?: number
}

interface Entry<H> {
  readonly key: number
  readonly write: boolean
  users: number
  idleSinceMs: number
  /** No longer in the map: closed as soon as its last user is done. */
  retired: boolean
  handle: H | undefined
  opening: Promise<H>
}

/**
 * Open handles of a few of many files, the least recently used one giving way. A handle in use is never closed, a file
 * that many ask for is opened once, and a read handle is exchanged when somebody wants to write. Whoever uses a handle
 * must not ask for another one meanwhile, or all could wait for each other.
 */
export class FilePool<H extends Closable> {
  readonly #open: (key: number, write: boolean) => Promise<H>
  readonly #maxOpen: number
  readonly #idleMs: number
  /** In the order of their last use. */
  readonly #entries = new LazyMap<number, Entry<H>>()
  #openCount = 0
  #change: Deferred<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #failure: unknown

  /** A pool whose handles come from `open`; keys are the caller's. */
  constructor(
    open: (key: number, write: boolean) => Promise<H>,
    { maxOpen, idleMs = 10_000 }: FilePoolOptions
  ) {
    this.#open = open
    this.#maxOpen = Math.max(1, maxOpen)
    this.#idleMs = idleMs
  }

  /** Handles that are open, being opened or being closed; never more than `maxOpen`. */
  get openCount(): number {
    return this.#openCount
  }

  /** Runs `task` with the handle of a file, which stays open for as long as the task takes. */
  async use<T>(key: number, write: boolean, task: (handle: H) => Promise<T>): Promise<T> {
    const entry = await this.#acquire(key, write)
    try {
      return await task(entry.handle ?? (await entry.opening))
    } finally {
      entry.users--
      entry.idleSinceMs = monotonicMs()
      if (entry.users === 0) {
        if (entry.retired) await this.#close(entry)
        else this.#changed()
      }
    }
  }

  /** The first error of a background close since the last call, which may mean lost writes. */
  takeFailure(): unknown {
    const failure = this.#failure
    this.#failure = undefined
    return failure
  }

  /** Closes every handle as soon as its users are done; idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#changed()
    await Promise.all([...this.#entries.values()].map((entry) => this.#retire(entry)))
    while (this.#openCount > 0) await this.#nextChange()
  }

  async #acquire(key: number, write: boolean): Promise<Entry<H>> {
    for (;;) {
      if (this.#closed) throw storageClosed()
      const entry = this.#entries.get(key)
      if (entry !== undefined && (entry.write || !write)) {
        entry.users++
        this.#entries.delete(key)
        this.#entries.set(key, entry)
        return entry
      }
      // Not awaited, or a reader could open the file again before the writer gets its turn.
      if (entry !== undefined) void this.#retire(entry)
      if (this.#openCount < this.#maxOpen) return this.#add(key, write)
      await this.#makeRoom()
    }
  }

  #add(key: number, write: boolean): Entry<H> {
    this.#openCount++
    const opening = this.#openPatiently(key, write)
    const entry: Entry<H> = {
      key,
      write,
      users: 1,
      idleSinceMs: 0,
      retired: false,
      handle: undefined,
      opening
    }
    this.#entries.set(key, entry)
    opening.then(
      (handle) => {
        entry.handle = handle
        this.#arm()
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key)
        entry.retired = true
        this.#openCount--
        this.#changed()
      }
    )
    return entry
  }

  /** Opens; when the process has no descriptors left, those that idle here are given up first. */
  async #openPatiently(key: number, write: boolean): Promise<H> {
    try {
      return await this.#open(key, write)
    } catch (error) {
      if (!['EMFILE', 'ENFILE'].includes(systemCode(error) ?? '')) throw error
      await Promise.all(this.#idle().map((entry) => this.#retire(entry)))
      return await this.#open(key, write)
    }
  }

  /** Closes the handle that was idle longest, or waits until something changes. */
  async #makeRoom(): Promise<void> {
    for (const entry of this.#entries.values()) {
      if (entry.users === 0 && entry.handle !== undefined) return this.#retire(entry)
    }
    await this.#nextChange()
  }

  #idle(): Entry<H>[] {
    return [...this.#entries.values()].filter(({ users, handle }) => users === 0 && handle !== undefined)
  }

  async #retire(entry: Entry<H>): Promise<void> {
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
    if (entry.retired) return
    entry.retired = true
    if (entry.users === 0) await this.#close(entry)
  }

  async #close(entry: Entry<H>): Promise<void> {
    const handle = entry.handle
    if (handle === undefined) return
    entry.handle = undefined
    try {
      await handle.close()
    } catch (error) {
      this.#failure ??= error
    } finally {
      this.#openCount--
      this.#changed()
    }
  }

  #changed(): void {
    const change = this.#change
    this.#change = undefined
    change?.resolve()
  }

  #nextChange(): Promise<void> {
    this.#change ??= deferred<void>()
    return this.#change.promise
  }

  #arm(): void {
    if (this.#closed || this.#timer !== undefined || this.#entries.size === 0) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const before = monotonicMs() - this.#idleMs
      for (const entry of this.#idle()) if (entry.idleSinceMs <= before) void this.#retire(entry)
      this.#arm()
    }, this.#idleMs)
    this.#timer.unref()
  }
}
