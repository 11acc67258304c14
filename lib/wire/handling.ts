import { monotonicMs } from '../util/clock.ts'
import { currentTurn } from '../util/turn.ts'
import type { WireLimits } from './limits.ts'

/** Bytes of blocks and uploads that offset one millisecond of CPU time, because a fast peer may send more messages. */
const bytesPerMs = 1_000_000
/** Maximum credit in bytes, so that a peer that stops sending blocks does not stay exempt for long. */
const creditMax = 20 * bytesPerMs
/** Bytes of blocks that take as long as one unit of work. Divides the time of a chunk between its blocks and its other messages. */
const bytesPerWork = 2048
/** Milliseconds of overhead in Node and the system per chunk, which counts because a peer may send byte by byte. */
const chunkMs = 0.01
/** Bytes of blocks or uploads that make a chunk exempt from `chunkMs`. */
const fullChunk = 512
/** Milliseconds that the system takes to receive a byte. */
const byteMs = 1e-6

/**
 * Measures the CPU time spent on one peer's messages: per turn of the event loop, and in total. Blocks and uploads earn credit, which is
 * deducted from the total.
 */
export class Handling {
  readonly #limits: WireLimits
  #turn = -1
  #turnWork = 0
  #turnMs = 0
  #startedAt = 0
  /** Bytes of blocks and uploads not yet spent on work. */
  #credit = 0

  constructor(limits: WireLimits) {
    this.#limits = limits
  }

  /** Starts the measurement of a chunk. */
  begin(): void {
    const turn = currentTurn()
    if (turn !== this.#turn) {
      this.#turn = turn
      this.#turnWork = this.#turnMs = 0
    }
    this.#startedAt = monotonicMs()
  }

  /** Whether the peer has used up its part of this turn of the event loop, including `work` of the current chunk. */
  isTurnOver(work: number): boolean {
    const { turnMessages, turnMs } = this.#limits
    return this.#turnWork + work >= turnMessages || this.#turnMs + this.#elapsed() >= turnMs
  }

  /**
   * Ends the measurement of a chunk of which `bytes` were handled with `work` units of work. `creditBytes` are its blocks and uploads;
   * negative if answering the requests costs more than they are worth. Returns the milliseconds to charge to the peer.
   */
  end(bytes: number, work: number, creditBytes: number): number {
    const credit = this.#credit + creditBytes
    this.#credit = Math.max(0, Math.min(creditMax, credit))
    const free = Math.max(0, creditBytes)
    let ownMs = Math.max(0, bytes - free) * byteMs + (free < fullChunk ? chunkMs : 0)
    // Charge the work that follows later, such as answers to one-byte requests.
    if (credit < 0) ownMs -= credit / bytesPerMs
    if (work > 0) {
      const ms = this.#elapsed()
      this.#turnWork += work
      this.#turnMs += ms
      ownMs += (ms * work * bytesPerWork) / (work * bytesPerWork + free)
    }
    if (ownMs === 0) return 0
    const earnedMs = Math.min(ownMs, this.#credit / bytesPerMs)
    this.#credit -= earnedMs * bytesPerMs
    return ownMs - earnedMs
  }

  #elapsed(): number {
    return monotonicMs() - this.#startedAt
  }
}
