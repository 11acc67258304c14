import { monotonicMs } from '../util/clock.ts'
import { TorrentError } from '../util/errors.ts'
import type { WireLimits } from './limits.ts'

/** Counts the messages of a peer that make no sense and are ignored or rejected; each is forgiven after some time. */
export class OddMessages {
  readonly #limits: WireLimits
  #count = 0
  #countedAt = 0

  constructor(limits: WireLimits) {
    this.#limits = limits
  }

  /**
   * Counts one; `what` describes it.
   * @throws TorrentError ERR_WIRE_PROTOCOL when there are too many.
   */
  add(what: string): void {
    const { oddMessages, oddMessageMs } = this.#limits
    const now = monotonicMs()
    this.#count = Math.max(0, this.#count - (now - this.#countedAt) / oddMessageMs) + 1
    this.#countedAt = now
    if (this.#count <= oddMessages) return
    throw new TorrentError(
      'ERR_WIRE_PROTOCOL',
      `more than ${oddMessages} messages make no sense, the last: ${what}`
    )
  }
}
