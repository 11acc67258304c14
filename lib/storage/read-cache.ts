import type { Layout } from '../metainfo/layout.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import type { Storage } from './storage.ts'

/** Bytes of a page. */
const pageBytes = 1 << 20
/** Pages for every reader: one that is on its way to it, one that it is sent, one that is read ahead. */
const pagesOfReader = 3
/** Pages beyond those of the readers, which keep what several want. */
const sharedPages = 6
/** Reads run ahead of each reader by so much at least, and by so much where there is room for it. */
const leastAhead = pageBytes
const mostAhead = 3 * pageBytes
/** A page that nobody asked for in so many ticks goes. */
const idleTicks = 30

/** Memory with a part of the torrent in it. */
export class CachePage {
  readonly index: number
  readonly memory: Uint8Array
  /** Its bytes once they were read, and the reading before. */
  bytes: Uint8Array | undefined
  reading: Promise<Uint8Array | undefined> | undefined
  /** Blocks that are on their way to peers. */
  holds = 0
  /** Whether the memory may not be used again, because somebody may still look at it. */
  spent = false
  usedAt = 0

  constructor(index: number, memory: Uint8Array) {
    this.index = index
    this.memory = memory
  }
}

/**
 * Blocks for peers, read from storage in large pages that run ahead of requests. Blocks are views of a page, whose memory is used again
 * when nobody holds any of them. It takes its memory from a budget and gives pages back when others need it.
 */
export class ReadCache {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #had: (piece: number) => boolean
  readonly #ceiling: number
  #most: number
  #aheadBytes = mostAhead
  readonly #budget: MemoryBudget
  readonly #stopReclaiming: () => void
  /** Oldest use first. */
  readonly #pages = new LazyMap<number, CachePage>()
  /** The memory of a page that went, for the next one: to make it anew costs more than to read it. */
  #spare: Uint8Array | undefined
  /** Made with the first page. */
  #byMemory: WeakMap<ArrayBufferLike, CachePage> | undefined
  #ticks = 0
  #closed = false

  /** A cache that keeps at most `bytes` that nobody holds, less while it has few readers; `had` says which pieces may be read. */
  constructor(
    layout: Layout,
    storage: Storage,
    had: (piece: number) => boolean,
    bytes: number,
    budget: MemoryBudget
  ) {
    this.#layout = layout
    this.#storage = storage
    this.#had = had
    this.#ceiling = Math.max(2, Math.floor(bytes / pageBytes))
    this.#most = Math.min(this.#ceiling, sharedPages)
    this.#budget = budget
    this.#stopReclaiming = budget.reclaimer(() => this.#dropOldest())
  }

  /**
   * Bytes of a piece that is had: at once if their page is here. Rejects when storage fails or has lost them. They stay as they are
   * until their page (see `pageOf`) is released once for them.
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

  /** Begins to read the page of an offset that will be asked for soon. */
  prefetch(byteOffset: number): void {
    const index = Math.floor(byteOffset / pageBytes)
    if (!this.#pages.has(index)) this.#page(index)
  }

  /** How far reads should run ahead of what a reader is sent: pages that are read too early make others go that are still needed. */
  get aheadBytes(): number {
    return this.#aheadBytes
  }

  /** Says how many peers read. */
  setReaders(count: number): void {
    this.#most = Math.min(this.#ceiling, sharedPages + count * pagesOfReader)
    const share = this.#most / Math.max(1, count) - pagesOfReader + 1
    this.#aheadBytes = Math.max(leastAhead, Math.min(mostAhead, share * pageBytes))
    while (this.#pages.size > this.#most && this.#dropOldest());
    this.#dropSpare()
  }

  /** The page of bytes that `get` gave; undefined when they are memory of their own. */
  pageOf(bytes: Uint8Array): CachePage | undefined {
    return this.#byMemory?.get(bytes.buffer)
  }

  /** So many of the bytes that `get` gave of a page are done with: nobody reads them any more. */
  release(page: CachePage, count: number): void {
    page.holds -= count
    if (page.holds > 0) return
    if (page.spent || this.#pages.size > this.#most || this.#pages.get(page.index) !== page) this.#drop(page)
  }

  /** To be called about once a second: pages that nobody has asked for in a while go. */
  tick(): void {
    this.#ticks++
    this.#dropSpare()
    for (const page of this.#pages.values()) {
      if (page.usedAt + idleTicks > this.#ticks) return
      if (isIdle(page)) this.#drop(page)
    }
  }

  /** Lets all pages go that nobody holds. */
  clear(): void {
    for (const page of this.#pages.values()) {
      this.#pages.delete(page.index)
      if (isIdle(page)) this.#drop(page)
    }
  }

  /** Lets all pages go for good. */
  close(): void {
    this.#closed = true
    this.#stopReclaiming()
    this.clear()
    this.#dropSpare()
  }

  /** The page with this number, read if need be; undefined when it is not wholly had or there is no memory. */
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

  /** Memory for a page: that of the page that was not used for longest, or new. */
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

  /** Gives the memory of a page back; once. */
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

  /** Whether every piece that the page touches is had. */
  #whole(index: number): boolean {
    const start = index * pageBytes
    if (start < 0 || start >= this.#layout.length) return false
    const pieces = this.#layout.piecesOf({ start, end: Math.min(start + pageBytes, this.#layout.length) })
    for (let piece = pieces.start; piece < pieces.end; piece++) if (!this.#had(piece)) return false
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
