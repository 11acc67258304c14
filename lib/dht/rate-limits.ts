import type { PeerAddress } from '../util/address.ts'
import { ipScope } from '../util/ip-scope.ts'
import type { Timers } from '../util/timers.ts'
import { TokenBucket } from '../util/token-bucket.ts'
import { limits } from './limits.ts'
import { partyKey } from './node-info.ts'

/** How many packets go in and out: a DHT node must serve neither floods nor amplification, nor flood others itself. */
export class RateLimits {
  readonly #timers: Timers
  readonly #answers: TokenBucket
  readonly #answerBytes: TokenBucket
  readonly #questions: TokenBucket
  /** What each party has asked and was sent in this window. */
  readonly #parties = new Map<string, { questions: number; bytes: number }>()
  #windowMs: number

  /** Full buckets. */
  constructor(timers: Timers) {
    const now = timers.now()
    this.#timers = timers
    this.#answers = new TokenBucket(limits.answersPerSecond, now)
    this.#answerBytes = new TokenBucket(limits.answerBytesPerSecond, now)
    this.#questions = new TokenBucket(limits.questionsPerSecond, now)
    this.#windowMs = now
  }

  /**
   * Whether a question from there is answered, of which {@link answered} is then told; a flooder is ignored until its window of
   * 10 seconds is over.
   */
  mayAnswer(from: PeerAddress): boolean {
    const now = this.#timers.now()
    if (now - this.#windowMs >= limits.floodWindowMs) {
      this.#parties.clear()
      this.#windowMs = now
    }
    const key = partyKey(from)
    const party = this.#parties.get(key) ?? { questions: 0, bytes: 0 }
    party.questions++
    // A flood from many forged addresses is the other limits' business.
    if (this.#parties.size < limits.countedAddresses) this.#parties.set(key, party)
    if (party.questions > limits.questionsPerAddress || party.bytes >= limits.answerBytesPerAddress)
      return false
    if (this.#answers.waitMs(now) > 0) return false
    if (this.#answerBytes.waitMs(now) > 0 && ipScope(from.host) !== 'loopback') return false
    this.#answers.take(1, now)
    return true
  }

  /** Bytes went out to whoever asked. On this machine nobody forges an address to harm another. */
  answered(to: PeerAddress, bytes: number): void {
    if (ipScope(to.host) === 'loopback') return
    this.#answerBytes.take(bytes, this.#timers.now())
    const party = this.#parties.get(partyKey(to))
    if (party !== undefined) party.bytes += bytes
  }

  /** Takes leave to send a question, and returns the milliseconds to wait with it: mostly 0. */
  question(): number {
    const now = this.#timers.now()
    const waitMs = this.#questions.waitMs(now)
    this.#questions.take(1, now)
    return waitMs
  }
}
