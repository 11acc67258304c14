import type { PeerAddress } from '../util/address.ts'
import { addressKey, hostKey, networkOf } from './node-info.ts'

const votesKept = 32
const votesNeeded = 5

interface Vote {
  readonly host: string
  readonly port: number
}

/**
 * Learns our external address from what others say they see (BEP 42): the last 32 votes count, one for each network, and an
 * address needs five of them and more than half.
 */
export class ExternalAddress {
  readonly #votes = new Map<string, Vote>()
  #address: PeerAddress | undefined

  /** What most see, with the port that the last of them saw; undefined until enough have spoken. */
  get address(): PeerAddress | undefined {
    return this.#address
  }

  /** Counts a vote; true when the address, the port aside, is another one now. */
  vote(seen: PeerAddress, voter: PeerAddress): boolean {
    const key = networkOf(voter.host) ?? hostKey(voter)
    this.#votes.delete(key)
    this.#votes.set(key, seen)
    for (const oldest of this.#votes.keys()) {
      if (this.#votes.size <= votesKept) break
      this.#votes.delete(oldest)
    }
    let count = 0
    for (const { host } of this.#votes.values()) if (host === seen.host) count++
    if (count < votesNeeded || count * 2 <= this.#votes.size) return false
    const before = this.#address
    if (before === undefined || addressKey(before) !== addressKey(seen)) {
      this.#address = { host: seen.host, port: seen.port }
    }
    return before?.host !== seen.host
  }
}
