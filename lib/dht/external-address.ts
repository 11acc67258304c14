import type { PeerAddress } from '../util/address.ts'
import { addressKey, networkOf, nodeHostKey } from './node-info.ts'

const votesKept = 32
const votesNeeded = 5

interface Vote {
  readonly host: string
  readonly port: number
}

/**
 * Learns our external address from the `ip` field of responses (BEP 42). The last 32 votes count, one per network, and an address
 * needs five of them and more than half.
 */
export class ExternalAddress {
  readonly #votes = new Map<string, Vote>()
  #address: PeerAddress | undefined

  /** The address of the majority, with the port of its latest vote; undefined until there are enough votes. */
  get address(): PeerAddress | undefined {
    return this.#address
  }

  /** Counts a vote. Returns true if the address, ignoring the port, changed. */
  vote(seen: PeerAddress, voter: PeerAddress): boolean {
    const key = networkOf(voter.host) ?? nodeHostKey(voter)
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
