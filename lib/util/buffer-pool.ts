/** Keeps a few large buffers of one size for the next use, so that memory is neither zeroed nor collected again and again. */
export class BufferPool {
  /** Bytes of each buffer. */
  readonly size: number
  readonly #spare: Uint8Array[] = []
  readonly #most: number

  /** A pool of buffers of `size` bytes that keeps at most `most` spare ones. */
  constructor(size: number, most: number) {
    this.size = size
    this.#most = most
  }

  /** A buffer of `size` bytes with arbitrary contents. */
  take(): Uint8Array {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.size)
  }

  /** Gives a buffer back; nobody may use it any more. */
  give(buffer: Uint8Array): void {
    if (this.#spare.length < this.#most) this.#spare.push(buffer)
  }

  /** Lets all spare buffers go. */
  clear(): void {
    this.#spare.length = 0
  }
}
