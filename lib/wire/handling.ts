import { monotonicMs } from '../util/clock.ts'
import { currentTurn } from '../util/turn.ts'
import type { WireLimits } from './limits.ts'

/** Blocks and uploads of so many bytes make a millisecond of work free: what a fast peer says is worth what it costs. */
const bytesPerMs = 1_000_000
/** So much is saved for later: what a peer sends while it is of no use counts. */
const creditMax = 20 * bytesPerMs
/** Where work and blocks come together, a unit of work is taken to cost as much as this many bytes of blocks. */
const bytesPerWork = 2048
/** Milliseconds that the system and Node take for each chunk besides: a peer may send its messages byte by byte. */
const chunkMs = 0.01
/** A chunk with so many bytes of blocks or uploads is free of that. */
const fullChunk = 512
/** Milliseconds that the system takes to bring a byte. */
const byteMs = 1e-6

/** Measures what handling the messages of one peer costs: in this turn of the event loop, and apart from blocks and uploads. */
export class Handling {
  readonly #limits: WireLimits
  #turn = -1
  #turnWork = 0
  #turnMs = 0
  #startedAt = 0
  /** Bytes that were of use and have not been set off against work. */
  #credit = 0

  constructor(limits: WireLimits) {
    this.#limits = limits
  }

  /** A chunk is about to be handled. */
  begin(): void {
    const turn = currentTurn()
    if (turn !== this.#turn) {
      this.#turn = turn
      this.#turnWork = this.#turnMs = 0
    }
    this.#startedAt = monotonicMs()
  }

  /** Whether the peer has used up this turn of the event loop, with so much work of the current chunk. */
  isTurnOver(work: number): boolean {
    const { turnMessages, turnMs } = this.#limits
    return this.#turnWork + work >= turnMessages || this.#turnMs + this.#elapsed() >= turnMs
  }

  /**
   * So many bytes of a chunk were handled, which took so much work; `freeBytes` of blocks and uploads came with it, negative where more
   * work follows than they are worth. Returns the milliseconds that count.
   */
  end(bytes: number, work: number, freeBytes: number): number {
    const credit = this.#credit + freeBytes
    this.#credit = Math.max(0, Math.min(creditMax, credit))
    const free = Math.max(0, freeBytes)
    let ownMs = Math.max(0, bytes - free) * byteMs + (free < fullChunk ? chunkMs : 0)
    // Work for the peer that follows later, such as answers to requests of a byte.
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
