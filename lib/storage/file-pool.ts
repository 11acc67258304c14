import { monotonicMs } from '../util/clock.ts'
import { type Deferred, deferred } from '../util/concurrency.ts'
import { systemCode } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { storageClosed } from './storage-error.ts'

/** A handle that a {@link FilePool} can close. */
export interface Closable {
  close(): Promise<void>
}

/** Limits of a {@link FilePool}. */
export interface FilePoolOptions {
  /** Maximum number of open handles. */
  readonly maxOpen: number
  /** Time after which an unused handle is closed. Default 10,000. */
  readonly idleMs?: number
}

interface Entry<H> {
  readonly key: number
  readonly write: boolean
  users: number
  idleSinceMs: number
  /** Removed from the map; closed as soon as its last user is done. */
  retired: boolean
  handle: H | undefined
  opening: Promise<H>
}

/**
 * Pool of open handles, least recently used evicted first. A handle in use is never closed, and concurrent uses of a file share one handle.
 * A read handle is replaced when a user wants to write. A user of a handle must not acquire another one, or all users could deadlock.
 */
export class FilePool<H extends Closable> {
  readonly #open: (key: number, write: boolean) => Promise<H>
  readonly #maxOpen: number
  readonly #idleMs: number
  /** In order of last use. */
  readonly #entries = new LazyMap<number, Entry<H>>()
  #openCount = 0
  #change: Deferred<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #failure: unknown

  /** Makes a pool whose handles come from `open`; the caller chooses the keys. */
  constructor(
    open: (key: number, write: boolean) => Promise<H>,
    { maxOpen, idleMs = 10_000 }: FilePoolOptions
  ) {
    this.#open = open
    this.#maxOpen = Math.max(1, maxOpen)
    this.#idleMs = idleMs
  }

  /** Number of handles that are open, opening or closing; at most `maxOpen`. */
  get openCount(): number {
    return this.#openCount
  }

  /** Runs `task` with the handle of a file, which stays open until the task settles. */
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

  /** Returns and clears the first error of a background close since the last call; it may mean lost writes. */
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
      // Not awaited: otherwise a reader could open the file again before the writer does.
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

  /** Opens a file; when the process has run out of descriptors, closes idle handles and tries again. */
  async #openPatiently(key: number, write: boolean): Promise<H> {
    try {
      return await this.#open(key, write)
    } catch (error) {
      if (!['EMFILE', 'ENFILE'].includes(systemCode(error) ?? '')) throw error
      await Promise.all(this.#idle().map((entry) => this.#retire(entry)))
      return await this.#open(key, write)
    }
  }

  /** Closes the handle that was idle longest, or waits for a change. */
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
