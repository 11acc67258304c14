/** Who reads a queue by callbacks. */
export interface QueueReader<T> {
  /** The next value, at once when it is pushed. */
  value(value: T): void
  /** There are no more, because of `error` if there is one. */
  end(error: unknown): void
}

/** A reader that waits for a value. */
interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T>) => void
  readonly reject: (error: unknown) => void
}

/** A bounded queue that is read with `for await`: when it is full the oldest value is dropped; `end` finishes it. */
export class AsyncQueue<T> implements AsyncIterableIterator<T> {
  readonly #limit: number
  readonly #onReturn: { close(): unknown } | undefined
  /** Made when they are needed: many queues wait for years, and by callback. */
  #values: T[] | undefined
  #waiting: Waiting<T>[] | undefined
  #reader: QueueReader<T> | undefined
  #ended = false
  #error: unknown

  /** A queue of at most `limit` unread values; `onReturn` is closed once when the reader leaves its loop early. */
  constructor(limit: number, onReturn?: { close(): unknown }) {
    this.#limit = limit
    this.#onReturn = onReturn
  }

  /** How many values wait to be read. */
  get size(): number {
    return this.#values?.length ?? 0
  }

  /** Adds a value; the oldest unread one gives way when the queue is full. Ignored after `end`. */
  push(value: T): void {
    if (this.#ended) return
    if (this.#reader !== undefined) {
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

  /** Finishes the queue once its values are read, with `error` if one is given. */
  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#reader !== undefined) {
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

  /** Gives all values to a reader from now on, instead of `next()`: that costs no memory while nothing comes. */
  readBy(reader: QueueReader<T>): void {
    const values = this.#values ?? []
    this.#values = undefined
    if (!this.#ended) this.#reader = reader
    for (const value of values) reader.value(value)
    if (!this.#ended) return
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
