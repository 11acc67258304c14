/** Reads a list of chunks piecemeal, without copies. */
export class ChunkCursor {
  readonly #chunks: readonly Uint8Array[]
  #index = 0
  #at = 0

  /** Makes a cursor at the first byte of the first chunk. */
  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks
  }

  /** Returns views of the next `length` bytes; fewer at the end. */
  take(length: number): Uint8Array[] {
    const views: Uint8Array[] = []
    let left = length
    while (left > 0) {
      const chunk = this.#chunks[this.#index]
      if (chunk === undefined) break
      const view =
        this.#at === 0 && chunk.byteLength <= left ? chunk : chunk.subarray(this.#at, this.#at + left)
      left -= view.byteLength
      this.#at += view.byteLength
      if (this.#at === chunk.byteLength) {
        this.#index++
        this.#at = 0
      }
      if (view.byteLength > 0) views.push(view)
    }
    return views
  }
}
