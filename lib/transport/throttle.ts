import { monotonicMs } from '../util/clock.ts'
import { LazySet } from '../util/lazy-collections.ts'
import type { Timers } from '../util/timers.ts'
import { TokenBucket } from '../util/token-bucket.ts'

/** A connection that waits in a {@link Throttle} to move bytes. */
export interface ThrottleMember {
  /** Moves at most `length` bytes, returns how many, and waits again if there are more. */
  moveSlice(length: number): number
}

/** Options of a {@link Throttle}. */
export interface ThrottleOptions {
  /** Limit that also applies; there this throttle is one member, however many wait here. */
  readonly parent?: Throttle | undefined
  /** The clock and timers, for tests; a delay of 0 calls back before the next timer of the event loop. */
  readonly timers?: Timers | undefined
}

// About 50 slices a second, within sizes that are neither wasteful nor bursty.
const slicesPerSecond = 50
const sliceLengthMin = 1024
const sliceLengthMax = 64 * 1024
// Longer waits are split.
const waitMsMax = 60_000

/** Timers that do not keep the process alive. */
const ownTimers: Timers = {
  now: monotonicMs,
  after(delayMs, callback) {
    if (delayMs === 0) {
      // An unref'd immediate would not wake the event loop.
      const immediate = setImmediate(callback)
      return () => clearImmediate(immediate)
    }
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  }
}

/**
 * A limit in bytes per second that connections share round-robin, one slice each, so that all get the same. Limits can be nested: torrents share
 * the limit of their client evenly, whatever their numbers of peers, and what one does not use goes to the others. One timer serves all members
 * and does not keep the process alive.
 *
 * A limit of 0 lets all bytes pass here: the torrent then neither requests nor serves blocks, and the few messages that keep peers connected
 * need not wait.
 */
export class Throttle implements ThrottleMember {
  readonly #bucket: TokenBucket
  readonly #parent: Throttle | undefined
  readonly #timers: Timers
  readonly #waiting = new LazySet<ThrottleMember>()
  #cancel: (() => void) | undefined
  #last: ThrottleMember | undefined
  #isMoving = false

  /** Creates a limit of `bytesPerSecond`; `Infinity` is none. */
  constructor(bytesPerSecond: number = Number.POSITIVE_INFINITY, options: ThrottleOptions = {}) {
    this.#parent = options.parent
    this.#timers = options.timers ?? options.parent?.timers ?? ownTimers
    // From 0, so that it begins without a burst.
    this.#bucket = new TokenBucket(0, this.#timers.now())
    this.rate = bytesPerSecond
  }

  /** The limit in bytes per second. */
  get rate(): number {
    return this.#bucket.rate
  }

  set rate(bytesPerSecond: number) {
    if (!(bytesPerSecond >= 0))
      throw new RangeError(`rate is ${bytesPerSecond} but must be 0 or more bytes per second`)
    this.#bucket.setRate(bytesPerSecond, this.#timers.now())
    if (bytesPerSecond === 0) this.#release()
    else this.#next()
  }

  /** Whether bytes pass without waiting: there is no limit, or a limit of 0, here or above. */
  get passes(): boolean {
    const { rate } = this.#bucket
    if (rate === 0 || this.#parent === undefined) return rate === 0 || rate === Number.POSITIVE_INFINITY
    return this.#parent.stopped || (rate === Number.POSITIVE_INFINITY && this.#parent.passes)
  }

  /** Whether the limit is 0, here or above. */
  get stopped(): boolean {
    return this.#bucket.rate === 0 || this.#parent?.stopped === true
  }

  /** Maximum bytes of a slice. */
  get sliceLength(): number {
    const { rate } = this.#bucket
    const above = this.#parent?.sliceLength ?? Number.POSITIVE_INFINITY
    if (rate === Number.POSITIVE_INFINITY || rate === 0) return above
    return Math.min(above, sliceLengthMax, Math.max(sliceLengthMin, Math.floor(rate / slicesPerSecond)))
  }

  /** @internal */
  get timers(): Timers {
    return this.#timers
  }

  /** Counts bytes that did not wait. */
  take(bytes: number): void {
    this.#charge(bytes)
    this.#parent?.take(bytes)
  }

  /** Queues a member, whose `moveSlice` may be called before this returns. */
  wait(member: ThrottleMember): void {
    this.#waiting.add(member)
    // The member that was served last lets others ask first; otherwise it alone would use up the burst after a pause.
    if (this.#parent === undefined && member === this.#last && !this.#isMoving && !this.stopped) this.#arm(0)
    else this.#next()
  }

  /** Removes a member from the queue. */
  leave(member: ThrottleMember): void {
    this.#waiting.delete(member)
    if (this.#last === member) this.#last = undefined
    if (this.#waiting.size > 0) return
    this.#disarm()
    this.#parent?.leave(this)
  }

  /** @internal Moves bytes of its members within a slice of the limit above. */
  moveSlice(length: number): number {
    const own = this.sliceLength
    let moved = 0
    this.#moveSlices(
      () => {
        const left = length - moved
        if (moved > 0 && left < sliceLengthMin) return 0
        return Math.min(own, left)
      },
      (bytes) => {
        moved += bytes
      }
    )
    return moved
  }

  /** Lets members move bytes as soon as the limit allows. */
  #next(): void {
    if (this.#isMoving || this.#waiting.size === 0) return
    this.#disarm()
    if (this.stopped) {
      this.#release()
      return
    }
    const waitMs = this.#bucket.waitMs(this.#timers.now())
    if (waitMs > 0) this.#arm(Math.min(waitMsMax, Math.ceil(waitMs)))
    else if (this.#parent !== undefined) this.#parent.wait(this)
    else this.#moveSlices(() => this.sliceLength)
  }

  /** Lets members move slices of the length `allowed()`, until that is 0, none waits or the bucket is empty. */
  #moveSlices(allowed: () => number, onMoved?: (bytes: number) => void): void {
    if (this.#isMoving) return
    this.#isMoving = true
    try {
      this.#disarm()
      // A member that waits again is appended, and the loop reaches it once more.
      for (const member of this.#waiting) {
        const length = this.#bucket.waitMs(this.#timers.now()) > 0 ? 0 : allowed()
        if (length === 0) break
        this.#waiting.delete(member)
        this.#last = member
        const bytes = member.moveSlice(length)
        this.#charge(bytes)
        onMoved?.(bytes)
      }
    } finally {
      this.#isMoving = false
    }
    this.#next()
  }

  /** Lets all waiting members move all their bytes. */
  #release(): void {
    this.#disarm()
    this.#parent?.leave(this)
    if (this.#isMoving) return
    this.#isMoving = true
    try {
      for (const member of this.#waiting) {
        this.#waiting.delete(member)
        const bytes = member.moveSlice(Number.POSITIVE_INFINITY)
        this.#charge(bytes)
        this.#parent?.take(bytes)
      }
    } finally {
      this.#isMoving = false
    }
  }

  #charge(bytes: number): void {
    if (this.#bucket.rate > 0) this.#bucket.take(bytes, this.#timers.now())
  }

  #arm(delayMs: number): void {
    if (this.#cancel !== undefined) return
    this.#cancel = this.#timers.after(delayMs, () => {
      this.#cancel = undefined
      this.#next()
    })
  }

  #disarm(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
