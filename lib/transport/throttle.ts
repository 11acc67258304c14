import { monotonicMs } from '../util/clock.ts'
import { TokenBucket } from '../util/token-bucket.ts'

/** Somebody with bytes to move, who waits in a {@link Throttle} for his turn. */
export interface ThrottleMember {
  /** Moves at most `length` bytes and returns how many; waits again if there are more. */
  turn(length: number): number
}

// Turns are so small that each second has about 50 of them, within what is worth the work and what moves smoothly.
const turnsPerSecond = 50
const turnLengthMin = 1024
const turnLengthMax = 64 * 1024
// Timers take no longer waits.
const waitMsMax = 60_000

/**
 * A limit in bytes per second that many connections share in turns, one slice each. One timer serves them all and does
 * not keep the process alive.
 */
export class Throttle {
  readonly #bucket: TokenBucket
  readonly #waiting = new Set<ThrottleMember>()
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined
  #last: ThrottleMember | undefined
  #turning = false

  /** A limit of `bytesPerSecond`; `Infinity` is none, 0 lets nothing pass. */
  constructor(bytesPerSecond: number = Number.POSITIVE_INFINITY) {
    // From 0, so that it begins without a burst.
    this.#bucket = new TokenBucket(0, monotonicMs())
    this.rate = bytesPerSecond
  }

  /** The limit in bytes per second. */
  get rate(): number {
    return this.#bucket.rate
  }

  set rate(bytesPerSecond: number) {
    if (!(bytesPerSecond >= 0))
      throw new RangeError(`rate is ${bytesPerSecond} but must be 0 or more bytes per second`)
    this.#bucket.setRate(bytesPerSecond, monotonicMs())
    this.#takeTurns()
  }

  /** Whether there is no limit. */
  get unlimited(): boolean {
    return this.#bucket.rate === Number.POSITIVE_INFINITY
  }

  /** How many bytes one turn moves at most. */
  get turnLength(): number {
    const rate = this.#bucket.rate
    if (rate === Number.POSITIVE_INFINITY) return rate
    return Math.min(turnLengthMax, Math.max(turnLengthMin, Math.floor(rate / turnsPerSecond)))
  }

  /** Counts bytes that do not wait for a turn. */
  take(bytes: number): void {
    this.#bucket.take(bytes, monotonicMs())
  }

  /** Queues a member; its turn may come before this returns. */
  wait(member: ThrottleMember): void {
    this.#waiting.add(member)
    // Whoever had the last turn lets the others read or write first, or it would use up what a pause has saved.
    if (member === this.#last && !this.#turning) this.#yield()
    else this.#takeTurns()
  }

  /** Takes a member out of the queue. */
  leave(member: ThrottleMember): void {
    this.#waiting.delete(member)
    if (this.#last === member) this.#last = undefined
    if (this.#waiting.size === 0) this.#disarm()
  }

  #takeTurns(): void {
    if (this.#turning) return
    this.#turning = true
    try {
      this.#disarm()
      for (const member of this.#waiting) {
        const waitMs = this.#bucket.waitMs(monotonicMs())
        if (waitMs > 0) {
          this.#arm(waitMs)
          break
        }
        // A member that waits again stands at the end, where this loop comes to it once more.
        this.#waiting.delete(member)
        this.#last = member
        this.#bucket.take(member.turn(this.turnLength), monotonicMs())
      }
    } finally {
      this.#turning = false
    }
  }

  #yield(): void {
    if (this.#timer !== undefined || this.#immediate !== undefined) return
    // Not unref'd: the event loop would sleep over it until something else happens.
    this.#immediate = setImmediate(() => this.#takeTurns())
  }

  #arm(waitMs: number): void {
    if (waitMs === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => this.#takeTurns(), Math.min(waitMsMax, Math.ceil(waitMs)))
    this.#timer.unref()
  }

  #disarm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    clearImmediate(this.#immediate)
    this.#immediate = undefined
  }
}
