import type { PeerAddress } from '../util/address.ts'
import { ipScope } from '../util/ip-scope.ts'
import type { Timers } from '../util/timers.ts'
import { TokenBucket } from '../util/token-bucket.ts'
import { limits } from './limits.ts'
import { partyKey } from './node-info.ts'

/** Limits incoming and outgoing packets, so that a node resists floods, cannot be used for amplification, and floods no other node. */
export class RateLimits {
  readonly #timers: Timers
  readonly #answers: TokenBucket
  readonly #answerBytes: TokenBucket
  readonly #queries: TokenBucket
  /** Queries and response bytes of each party, an IPv4 address or an IPv6 /64, in the current window. */
  readonly #parties = new Map<string, { queries: number; bytes: number }>()
  #windowMs: number

  /** Creates limits with full token buckets. */
  constructor(timers: Timers) {
    const now = timers.now()
    this.#timers = timers
    this.#answers = new TokenBucket(limits.answersPerSecond, now)
    this.#answerBytes = new TokenBucket(limits.answerBytesPerSecond, now)
    this.#queries = new TokenBucket(limits.queriesPerSecond, now)
    this.#windowMs = now
  }

  /**
   * Whether to answer a query from an address; if so, the caller reports the response to {@link answered}. A party that exceeds its limits
   * is ignored until its window of 10 seconds is over.
   */
  mayAnswer(from: PeerAddress): boolean {
    const now = this.#timers.now()
    if (now - this.#windowMs >= limits.floodWindowMs) {
      this.#parties.clear()
      this.#windowMs = now
    }
    const key = partyKey(from)
    const party = this.#parties.get(key) ?? { queries: 0, bytes: 0 }
    party.queries++
    // A flood from many forged addresses is bounded by the total limits.
    if (this.#parties.size < limits.countedAddresses) this.#parties.set(key, party)
    if (party.queries > limits.queriesPerAddress || party.bytes >= limits.answerBytesPerAddress) return false
    if (this.#answers.waitMs(now) > 0) return false
    if (this.#answerBytes.waitMs(now) > 0 && ipScope(from.host) !== 'loopback') return false
    this.#answers.take(1, now)
    return true
  }

  /** Counts the bytes of a response. Responses to this machine are free, because forged loopback addresses harm no other host. */
  answered(to: PeerAddress, bytes: number): void {
    if (ipScope(to.host) === 'loopback') return
    this.#answerBytes.take(bytes, this.#timers.now())
    const party = this.#parties.get(partyKey(to))
    if (party !== undefined) party.bytes += bytes
  }

  /** Reserves a query to send. Returns the milliseconds to wait before sending it, usually 0. */
  question(): number {
    const now = this.#timers.now()
    const waitMs = this.#queries.waitMs(now)
    this.#queries.take(1, now)
    return waitMs
  }
}
