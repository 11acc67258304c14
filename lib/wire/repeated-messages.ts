import { monotonicMs } from '../util/clock.ts'

/** Counts messages of one kind that a peer need not repeat; each is forgiven after some time. */
export class RepeatedMessages {
  readonly #most: number
  readonly #forgivenMs: number
  #count = 0
  #countedAt = 0

  /** A count of messages, of which `most` may come at once and then one in `forgivenMs`. */
  constructor(most: number, forgivenMs: number) {
    this.#most = most
    this.#forgivenMs = forgivenMs
  }

  /** Counts one; false when there are too many. */
  add(now: number = monotonicMs()): boolean {
    this.#count = Math.max(0, this.#count - (now - this.#countedAt) / this.#forgivenMs) + 1
    this.#countedAt = now
    return this.#count <= this.#most
  }
}
