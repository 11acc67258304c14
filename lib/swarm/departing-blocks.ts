import type { CachePage, ReadCache } from '../storage/read-cache.ts'

/** The most bytes that a wire and its stream hold between a block that was handed over and the count of the connection. */
const handedOver = 256 << 10

/** Blocks of one page that were handed to a connection one after the other. */
interface Departure {
  readonly page: CachePage
  blocks: number
  /** Bytes that the wire has sent when they are out. */
  end: number
}

/** The blocks that one connection was given and may not have sent yet: their pages of the read cache must stay. */
export class DepartingBlocks {
  readonly #cache: ReadCache
  /** The oldest first. */
  readonly #departures: Departure[] = []
  /** Bytes that the wire had sent at the last `look`. */
  #sentBefore = 0

  constructor(cache: ReadCache) {
    this.#cache = cache
  }

  /** Keeps the page of a block that the wire has handed over with its first `sent` bytes; of these `queued` wait in the connection. */
  add(page: CachePage, sent: number, queued: number): void {
    const last = this.#departures.at(-1)
    if (last?.page === page) {
      last.blocks++
      last.end = sent
    } else this.#departures.push({ page, blocks: 1, end: sent })
    const out = sent - queued - handedOver
    for (
      let first = this.#departures[0];
      first !== undefined && first.end <= out;
      first = this.#departures[0]
    ) {
      this.#departures.shift()
      this.#cache.release(first.page, first.blocks)
    }
  }

  /** To be called once a second: gives all pages back when nothing was sent since and nothing waits in the connection. */
  look(sent: number, queued: number): void {
    if (sent === this.#sentBefore && queued === 0) this.releaseAll()
    this.#sentBefore = sent
  }

  /** Gives all pages back. */
  releaseAll(): void {
    for (const { page, blocks } of this.#departures.splice(0)) this.#cache.release(page, blocks)
  }
}
