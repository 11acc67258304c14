/** Reads a queue by callbacks. */
export interface QueueReader<T> {
  /** Receives the next value, synchronously within `push`. */
  value(value: T): void
  /** Called after the last value; `error` is what ended the queue, if anything. */
  end(error: unknown): void
}

/** A pending `next()` call. */
interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T>) => void
  readonly reject: (error: unknown) => void
}

/** A bounded queue, read with `for await`. When it is full, the oldest value is dropped. */
export class AsyncQueue<T> implements AsyncIterableIterator<T> {
  readonly #limit: number
  readonly #onReturn: { close(): unknown } | undefined
  /** Unread values; allocated on first use, because many queues stay idle or are read by callbacks. */
  #values: T[] | undefined
  #waiting: Waiting<T>[] | undefined
  #reader: QueueReader<T> | undefined
  #ended = false
  #error: unknown

  /** Creates a queue of at most `limit` unread values; `onReturn` is closed once if the reader leaves its loop early. */
  constructor(limit: number, onReturn?: { close(): unknown }) {
    this.#limit = limit
    this.#onReturn = onReturn
  }

  /** Number of unread values. */
  get size(): number {
    return this.#values?.length ?? 0
  }

  /** Adds a value, and drops the oldest unread one if the queue is full. Ignored after `end`. */
  push(value: T): void {
    if (this.#ended) return
    if (this.#reader !== undefined && this.#values === undefined) {
      this.#reader.value(value)
      return
    }
    const waiting = this.#waiting?.shift()
    if (waiting !== undefined) {
      waiting.resolve({ value, done: false })
      return
    }
    this.#values ??= []
    if (this.#values.push(value) > this.#limit) this.#values.shift()
  }

  /** Ends the queue once its values are read, with `error` if given; idempotent. */
  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#reader !== undefined && this.#values === undefined) {
      const reader = this.#reader
      this.#reader = undefined
      reader.end(error)
      return
    }
    this.#error = error
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const { resolve, reject } of waiting) {
      if (this.#error === undefined) resolve({ value: undefined, done: true })
      else {
        reject(this.#error)
        this.#error = undefined
      }
    }
  }

  /** Passes all values to a reader from now on, instead of `next()`: an idle reader costs no memory. */
  readBy(reader: QueueReader<T>): void {
    this.#reader = reader
    // The reader may call `push`, `end` or `return` meanwhile. While `#values` is set, pushed values and the end wait for the unread ones.
    while (this.#values !== undefined) {
      const value = this.#values.shift()
      if (value === undefined) this.#values = undefined
      else reader.value(value)
    }
    if (!this.#ended || this.#reader === undefined) return
    this.#reader = undefined
    const error = this.#error
    this.#error = undefined
    reader.end(error)
  }

  next(): Promise<IteratorResult<T>> {
    const value = this.#values?.shift()
    if (value !== undefined) return Promise.resolve({ value, done: false })
    if (this.#ended) {
      const error = this.#error
      this.#error = undefined
      return error === undefined ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      this.#waiting ??= []
      this.#waiting.push({ resolve, reject })
    })
  }

  return(): Promise<IteratorResult<T>> {
    const first = !this.#ended
    this.#values = undefined
    this.#reader = undefined
    this.end()
    this.#error = undefined
    if (first) this.#onReturn?.close()
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
