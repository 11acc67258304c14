import type { Layout } from '../metainfo/layout.ts'
import { checkOffset, writtenRange } from './byte-range.ts'
import type { Storage } from './storage.ts'
import { storageClosed } from './storage-error.ts'

const pageLength = 1 << 20

/**
 * Storage of a torrent in memory, in pages of 1 MiB that are allocated by the first write to them. A torrent shorter than a page takes only
 * its length. Bytes of a page that were never written read as zeros.
 */
export class MemoryStorage implements Storage {
  readonly #pages = new Map<number, Uint8Array>()
  #layout: Layout | undefined
  #closed = false

  /** Allocated memory in bytes. */
  get allocated(): number {
    let bytes = 0
    for (const { byteLength } of this.#pages.values()) bytes += byteLength
    return bytes
  }

  async open(layout: Layout): Promise<void> {
    if (this.#closed || this.#layout !== undefined) throw storageClosed()
    this.#layout = layout
  }

  async select(): Promise<void> {
    this.#require()
  }

  async read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number> {
    signal?.throwIfAborted()
    checkOffset(byteOffset)
    const layout = this.#require()
    let count = 0
    for (const { fileIndex, length } of layout.spans({
      start: byteOffset,
      end: byteOffset + target.byteLength
    })) {
      const part = target.subarray(count, count + length)
      const there = layout.files[fileIndex]?.pad === true ? zeros(part) : this.#copy(byteOffset + count, part)
      count += there
      if (there < length) break
    }
    return count
  }

  async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    checkOffset(byteOffset)
    const { length } = this.#require()
    let at = writtenRange(byteOffset, chunks, length).start
    for (const chunk of chunks) {
      for (let done = 0; done < chunk.byteLength; ) {
        const start = at % pageLength
        const page = this.#page(Math.floor(at / pageLength), length)
        const part = chunk.subarray(done, done + page.byteLength - start)
        page.set(part, start)
        done += part.byteLength
        at += part.byteLength
      }
    }
  }

  async sync(): Promise<void> {
    this.#require()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#pages.clear()
  }

  async delete(): Promise<void> {
    this.#require()
    await this.close()
  }

  #require(): Layout {
    if (this.#closed || this.#layout === undefined) throw storageClosed()
    return this.#layout
  }

  #page(index: number, length: number): Uint8Array {
    let page = this.#pages.get(index)
    if (page === undefined) {
      page = new Uint8Array(Math.min(pageLength, length - index * pageLength))
      this.#pages.set(index, page)
    }
    return page
  }

  #copy(byteOffset: number, target: Uint8Array): number {
    let count = 0
    while (count < target.byteLength) {
      const page = this.#pages.get(Math.floor((byteOffset + count) / pageLength))
      if (page === undefined) break
      const start = (byteOffset + count) % pageLength
      const part = page.subarray(start, start + target.byteLength - count)
      target.set(part, count)
      count += part.byteLength
    }
    return count
  }
}

function zeros(target: Uint8Array): number {
  target.fill(0)
  return target.byteLength
}
