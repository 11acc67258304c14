import type { CachePage, ReadCache } from '../storage/read-cache.ts'

/** Maximum bytes that the wire counts as sent while its stream still buffers them, so that the connection does not count them yet. */
const streamBufferMax = 256 << 10

/** Consecutive blocks of one cache page that were handed to a connection. */
interface Departure {
  readonly page: CachePage
  blocks: number
  /** Value of the wire's `sent` once these blocks are out. */
  end: number
}

/** Blocks that may still be unsent in one connection. Holds their pages of the read cache until they are sent. */
export class DepartingBlocks {
  readonly #cache: ReadCache
  /** Oldest first. */
  readonly #departures: Departure[] = []
  /** Value of the wire's `sent` at the last `look`. */
  #sentBefore = 0

  constructor(cache: ReadCache) {
    this.#cache = cache
  }

  /** Retains the page of a block. The wire has handed over `sent` bytes in all, of which `queued` wait in the connection. */
  add(page: CachePage, sent: number, queued: number): void {
    const last = this.#departures.at(-1)
    if (last?.page === page) {
      last.blocks++
      last.end = sent
    } else this.#departures.push({ page, blocks: 1, end: sent })
    const out = sent - queued - streamBufferMax
    for (
      let first = this.#departures[0];
      first !== undefined && first.end <= out;
      first = this.#departures[0]
    ) {
      this.#departures.shift()
      this.#cache.release(first.page, first.blocks)
    }
  }

  /** Releases all pages if nothing was sent since the last call and nothing waits in the connection. Call it once a second. */
  look(sent: number, queued: number): void {
    if (sent === this.#sentBefore && queued === 0) this.releaseAll()
    this.#sentBefore = sent
  }

  /** Releases all pages. */
  releaseAll(): void {
    for (const { page, blocks } of this.#departures.splice(0)) this.#cache.release(page, blocks)
  }
}
