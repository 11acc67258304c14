import { monotonicMs } from '../util/clock.ts'

/** Counts messages of one kind; the count drops with time. */
export class RepeatedMessages {
  readonly #most: number
  readonly #forgivenMs: number
  #count = 0
  #countedAt = 0

  /** Allows `most` messages at once, and one more each `forgivenMs`. */
  constructor(most: number, forgivenMs: number) {
    this.#most = most
    this.#forgivenMs = forgivenMs
  }

  /** Counts a message; returns false if there are too many. */
  add(now: number = monotonicMs()): boolean {
    this.#count = Math.max(0, this.#count - (now - this.#countedAt) / this.#forgivenMs) + 1
    this.#countedAt = now
    return this.#count <= this.#most
  }
}
