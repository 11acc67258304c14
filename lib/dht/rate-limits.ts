import type { PeerAddress } from '../util/address.ts'
import type { Timers } from '../util/timers.ts'
import { TokenBucket } from '../util/token-bucket.ts'
import { limits } from './limits.ts'
import { partyKey } from './node-info.ts'

/** How many packets go in and out: a DHT node must serve neither floods nor amplification, nor flood others itself. */
export class RateLimits {
  readonly #timers: Timers
  readonly #answers: TokenBucket
  readonly #questions: TokenBucket
  /** Questions of each party in this window and the one before. */
  #counts = new Map<string, number>()
  #windowMs: number

  /** Full buckets. */
  constructor(timers: Timers) {
    const now = timers.now()
    this.#timers = timers
    this.#answers = new TokenBucket(limits.answersPerSecond, now)
    this.#questions = new TokenBucket(limits.questionsPerSecond, now)
    this.#windowMs = now
  }

  /** Whether a question from there is answered; a flooder is ignored until its window of 10 seconds is over. */
  mayAnswer(from: PeerAddress): boolean {
    const now = this.#timers.now()
    if (now - this.#windowMs >= limits.floodWindowMs) {
      this.#counts.clear()
      this.#windowMs = now
    }
    const key = partyKey(from)
    const count = (this.#counts.get(key) ?? 0) + 1
    // A flood from many forged addresses is the other limit's business.
    if (count > 1 || this.#counts.size < limits.countedAddresses) this.#counts.set(key, count)
    if (count > limits.questionsPerAddress || this.#answers.waitMs(now) > 0) return false
    this.#answers.take(1, now)
    return true
  }

  /** Takes leave to send a question, and returns the milliseconds to wait with it: mostly 0. */
  question(): number {
    const now = this.#timers.now()
    const waitMs = this.#questions.waitMs(now)
    this.#questions.take(1, now)
    return waitMs
  }
}
