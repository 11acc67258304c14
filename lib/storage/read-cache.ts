import type { Layout } from '../metainfo/layout.ts'
import type { Storage } from './storage.ts'

/** Bytes of a page. */
const pageBytes = 1 << 20

/**
 * Blocks for peers, read from storage in large pages that run ahead of requests. Pages are handed out as views and left
 * to the garbage collector, since a view may wait in a socket for long.
 */
export class ReadCache {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #had: (piece: number) => boolean
  readonly #most: number
  /** Oldest use first. */
  readonly #pages = new Map<number, Uint8Array | Promise<Uint8Array | undefined>>()

  /** A cache of at most `bytes`; `had` says which pieces may be read. */
  constructor(layout: Layout, storage: Storage, had: (piece: number) => boolean, bytes: number) {
    this.#layout = layout
    this.#storage = storage
    this.#had = had
    this.#most = Math.max(2, Math.floor(bytes / pageBytes))
  }

  /** Bytes of a piece that is had: at once if their page is here. Rejects when storage fails or has lost them. */
  get(byteOffset: number, length: number): Uint8Array | Promise<Uint8Array> {
    const index = Math.floor(byteOffset / pageBytes)
    const from = byteOffset - index * pageBytes
    if (from + length > pageBytes || !this.#whole(index)) return this.#direct(byteOffset, length)
    const page = this.#page(index)
    if (page instanceof Uint8Array) {
      return from + length > page.length
        ? this.#direct(byteOffset, length)
        : page.subarray(from, from + length)
    }
    return page.then((bytes) =>
      bytes === undefined || from + length > bytes.length
        ? this.#direct(byteOffset, length)
        : bytes.subarray(from, from + length)
    )
  }

  /** Begins to read the page of an offset that will be asked for soon. */
  prefetch(byteOffset: number): void {
    const index = Math.floor(byteOffset / pageBytes)
    if (!this.#pages.has(index) && this.#whole(index)) this.#page(index)
  }

  /** Lets all pages go. */
  clear(): void {
    this.#pages.clear()
  }

  #page(index: number): Uint8Array | Promise<Uint8Array | undefined> {
    const known = this.#pages.get(index)
    if (known !== undefined) {
      this.#pages.delete(index)
      this.#pages.set(index, known)
      return known
    }
    const start = index * pageBytes
    const page = new Uint8Array(new ArrayBuffer(Math.min(pageBytes, this.#layout.length - start)))
    const reading = this.#storage.read(start, page).then(
      (got) => {
        const whole = got === page.length
        if (this.#pages.get(index) === reading) {
          if (whole) this.#pages.set(index, page)
          else this.#pages.delete(index)
        }
        return whole ? page : undefined
      },
      () => {
        if (this.#pages.get(index) === reading) this.#pages.delete(index)
        return undefined
      }
    )
    this.#pages.set(index, reading)
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= this.#most) break
      this.#pages.delete(oldest)
    }
    return reading
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
