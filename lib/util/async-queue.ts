/** A bounded queue that is read with `for await`: when it is full the oldest value is dropped; `end` finishes it. */
export class AsyncQueue<T> implements AsyncIterableIterator<T> {
  readonly #limit: number
  readonly #onReturn: (() => void) | undefined
  #values: T[] = []
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = []
  #ended = false
  #error: unknown

  /** A queue of at most `limit` unread values; `onReturn` runs once when the reader leaves its loop early. */
  constructor(limit: number, onReturn?: () => void) {
    this.#limit = limit
    this.#onReturn = onReturn
  }

  /** How many values wait to be read. */
  get size(): number {
    return this.#values.length
  }

  /** Adds a value; the oldest unread one gives way when the queue is full. Ignored after `end`. */
  push(value: T): void {
    if (this.#ended) return
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) waiting.resolve({ value, done: false })
    else if (this.#values.push(value) > this.#limit) this.#values.shift()
  }

  /** Finishes the queue once its values are read, with `error` if one is given. */
  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (this.#error === undefined) resolve({ value: undefined, done: true })
      else {
        reject(this.#error)
        this.#error = undefined
      }
    }
  }

  next(): Promise<IteratorResult<T>> {
    const value = this.#values.shift()
    if (value !== undefined) return Promise.resolve({ value, done: false })
    if (this.#ended) {
      const error = this.#error
      this.#error = undefined
      return error === undefined ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(error)
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  return(): Promise<IteratorResult<T>> {
    const first = !this.#ended
    this.#values = []
    this.end()
    this.#error = undefined
    if (first) this.#onReturn?.()
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
