import { monotonicMs } from '../util/clock.ts'
import { TorrentError } from '../util/errors.ts'

/** Counts messages of one kind that a peer need not repeat; each is forgiven after some time. */
export class RepeatedMessages {
  readonly #what: string
  readonly #most: number
  readonly #forgivenMs: number
  #count = 0
  #countedAt = 0

  /** A count of `what`, of which `most` may come at once and then one in `forgivenMs`. */
  constructor(what: string, most: number, forgivenMs: number) {
    this.#what = what
    this.#most = most
    this.#forgivenMs = forgivenMs
  }

  /**
   * Counts one.
   * @throws TorrentError ERR_WIRE_LIMIT when there are too many.
   */
  add(now: number = monotonicMs()): void {
    this.#count = Math.max(0, this.#count - (now - this.#countedAt) / this.#forgivenMs) + 1
    this.#countedAt = now
    if (this.#count <= this.#most) return
    throw new TorrentError('ERR_WIRE_LIMIT', `more than ${this.#most} ${this.#what}`)
  }
}
