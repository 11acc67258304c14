import type { Layout } from '../metainfo/layout.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import type { Storage } from './storage.ts'

const pageBytes = 1 << 20
/** Pages per reader: one in transit, one being sent, one read ahead. */
const pagesOfReader = 3
/** Pages beyond those of the readers, for content that several readers want. */
const sharedPages = 6
/** Minimum and maximum bytes that reads run ahead of each reader. */
const leastAhead = pageBytes
const mostAhead = 3 * pageBytes
/** Ticks after which an unused page is dropped. */
const idleTicks = 30

/** A page of the torrent in memory. */
export class CachePage {
  readonly index: number
  readonly memory: Uint8Array
  /** The bytes once they were read, and the read until then. */
  bytes: Uint8Array | undefined
  reading: Promise<Uint8Array | undefined> | undefined
  /** Views of the page that are being sent to peers. */
  holds = 0
  /** Whether to drop the page once no view is held: its read failed, or it left the cache during the read. */
  spent = false
  usedAt = 0

  constructor(index: number, memory: Uint8Array) {
    this.index = index
    this.memory = memory
  }
}

/**
 * Cache of blocks for peers, read from storage in large pages ahead of requests. Blocks are views of a page; the memory is reused when none
 * of its views is held. Memory comes from a budget, and pages are given up when others need it.
 */
export class ReadCache {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #isStored: (piece: number) => boolean
  readonly #ceiling: number
  #most: number
  #aheadBytes = mostAhead
  readonly #budget: MemoryBudget
  readonly #stopReclaiming: () => void
  /** Least recently used first. */
  readonly #pages = new LazyMap<number, CachePage>()
  /** Memory of the last dropped page, kept for the next one: allocating costs more than reading. */
  #spare: Uint8Array | undefined
  /** Made with the first page. */
  #byMemory: WeakMap<ArrayBufferLike, CachePage> | undefined
  #ticks = 0
  #closed = false

  /**
   * Makes a cache of at most `bytes`, less while it has few readers; pages with held views may exceed it. `isStored` tells which pieces may
   * be read.
   */
  constructor(
    layout: Layout,
    storage: Storage,
    isStored: (piece: number) => boolean,
    bytes: number,
    budget: MemoryBudget
  ) {
    this.#layout = layout
    this.#storage = storage
    this.#isStored = isStored
    this.#ceiling = Math.max(2, Math.floor(bytes / pageBytes))
    this.#most = Math.min(this.#ceiling, sharedPages)
    this.#budget = budget
    this.#stopReclaiming = budget.reclaimer(() => this.#dropOldest())
  }

  /**
   * Returns bytes of a stored piece, synchronously if their page is cached. Rejects when storage fails or has lost them. The bytes do not
   * change until their page (see `pageOf`) is released once for them.
   */
  get(byteOffset: number, length: number): Uint8Array | Promise<Uint8Array> {
    const index = Math.floor(byteOffset / pageBytes)
    const from = byteOffset - index * pageBytes
    const page = from + length > pageBytes ? undefined : this.#page(index)
    if (page?.bytes !== undefined && from + length <= page.bytes.length) {
      page.holds++
      return page.bytes.subarray(from, from + length)
    }
    if (page?.reading === undefined) return this.#direct(byteOffset, length)
    page.holds++
    return page.reading.then((bytes) => {
      if (bytes !== undefined && from + length <= bytes.length) return bytes.subarray(from, from + length)
      this.release(page, 1)
      return this.#direct(byteOffset, length)
    })
  }

  /** Begins to read the page of an offset that will be requested soon. */
  prefetch(byteOffset: number): void {
    const index = Math.floor(byteOffset / pageBytes)
    if (!this.#pages.has(index)) this.#page(index)
  }

  /** Bytes that reads should run ahead of sending; pages read too early evict pages that are still needed. */
  get aheadBytes(): number {
    return this.#aheadBytes
  }

  /** Sets the number of peers that read. */
  setReaders(count: number): void {
    this.#most = Math.min(this.#ceiling, sharedPages + count * pagesOfReader)
    const share = this.#most / Math.max(1, count) - pagesOfReader + 1
    this.#aheadBytes = Math.max(leastAhead, Math.min(mostAhead, share * pageBytes))
    while (this.#pages.size > this.#most && this.#dropOldest());
    this.#dropSpare()
  }

  /** Returns the page of bytes returned by `get`; undefined when they have memory of their own. */
  pageOf(bytes: Uint8Array): CachePage | undefined {
    return this.#byMemory?.get(bytes.buffer)
  }

  /** Releases `count` views of a page that `get` returned; their bytes must not be read any more. */
  release(page: CachePage, count: number): void {
    page.holds -= count
    if (page.holds > 0) return
    if (page.spent || this.#pages.size > this.#most || this.#pages.get(page.index) !== page) this.#drop(page)
  }

  /** Drops pages that were not used for a while; call it about once a second. */
  tick(): void {
    this.#ticks++
    this.#dropSpare()
    for (const page of this.#pages.values()) {
      if (page.usedAt + idleTicks > this.#ticks) return
      if (isIdle(page)) this.#drop(page)
    }
  }

  /** Removes all pages. Their memory is released once no view is held. */
  clear(): void {
    for (const page of this.#pages.values()) {
      this.#pages.delete(page.index)
      if (isIdle(page)) this.#drop(page)
    }
  }

  /** Drops all pages for good. */
  close(): void {
    this.#closed = true
    this.#stopReclaiming()
    this.clear()
    this.#dropSpare()
  }

  /** Returns a page, reading it if needed; undefined when one of its pieces is not stored or there is no memory. */
  #page(index: number): CachePage | undefined {
    const known = this.#pages.get(index)
    if (known !== undefined) {
      known.usedAt = this.#ticks
      this.#pages.delete(index)
      this.#pages.set(index, known)
      return known
    }
    const memory = this.#whole(index) ? this.#memory() : undefined
    if (memory === undefined) return undefined
    const page = new CachePage(index, memory)
    page.usedAt = this.#ticks
    this.#pages.set(index, page)
    this.#byMemory ??= new WeakMap()
    this.#byMemory.set(memory.buffer, page)
    const start = index * pageBytes
    const target = memory.subarray(0, Math.min(pageBytes, this.#layout.length - start))
    page.reading = this.#read(page, start, target)
    return page
  }

  async #read(page: CachePage, start: number, target: Uint8Array): Promise<Uint8Array | undefined> {
    const got = await this.#storage.read(start, target).catch(() => 0)
    page.reading = undefined
    if (got === target.length) page.bytes = target
    const unwanted = page.bytes === undefined || this.#pages.get(page.index) !== page
    if (unwanted && page.holds === 0) this.#drop(page)
    else if (unwanted) page.spent = true
    return page.bytes
  }

  /** Returns memory for a page, from the least recently used one or new; undefined when there is none. */
  #memory(): Uint8Array | undefined {
    if (this.#pages.size >= this.#most) {
      const page = this.#oldestIdle()
      if (page !== undefined) {
        this.#pages.delete(page.index)
        this.#byMemory?.delete(page.memory.buffer)
        return page.memory
      }
    }
    const spare = this.#spare
    this.#spare = undefined
    if (spare !== undefined) return spare
    return this.#budget.reserveSpare(pageBytes) ? Buffer.allocUnsafeSlow(pageBytes) : undefined
  }

  #oldestIdle(): CachePage | undefined {
    for (const page of this.#pages.values()) if (isIdle(page)) return page
    return undefined
  }

  #dropOldest(): boolean {
    if (this.#dropSpare()) return true
    const page = this.#oldestIdle()
    if (page === undefined) return false
    this.#drop(page)
    return true
  }

  /** Releases the memory of a page, at most once. */
  #drop(page: CachePage): void {
    if (this.#pages.get(page.index) === page) this.#pages.delete(page.index)
    if (this.#byMemory?.delete(page.memory.buffer) !== true) return
    if (this.#spare === undefined && !this.#closed) this.#spare = page.memory
    else this.#budget.releaseSpare(pageBytes)
  }

  #dropSpare(): boolean {
    if (this.#spare === undefined) return false
    this.#spare = undefined
    this.#budget.releaseSpare(pageBytes)
    return true
  }

  /** Returns whether all pieces that the page touches are stored. */
  #whole(index: number): boolean {
    const start = index * pageBytes
    if (start < 0 || start >= this.#layout.length) return false
    const pieces = this.#layout.piecesOf({ start, end: Math.min(start + pageBytes, this.#layout.length) })
    for (let piece = pieces.start; piece < pieces.end; piece++) if (!this.#isStored(piece)) return false
    return true
  }

  async #direct(byteOffset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    const got = await this.#storage.read(byteOffset, bytes)
    if (got < length) throw new Error(`storage has lost ${length - got} bytes at ${byteOffset + got}`)
    return bytes
  }
}

function isIdle(page: CachePage): boolean {
  return page.holds === 0 && page.reading === undefined
}
