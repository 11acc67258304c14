import type { PeerAddress } from '../util/address.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { addressKey, hostKey, scopeOf } from './address-scope.ts'
import { limits } from './limits.ts'

/** Hosts that a torrent never deals with again, and addresses that turned out to be its own. */
export class Bans {
  readonly #hosts = new LazySet<string>()
  readonly #selves = new LazySet<string>()

  /** Bans a host, and returns which of further addresses are banned with it. */
  add(address: PeerAddress): (other: PeerAddress) => boolean {
    const banned = banKey(address)
    addBounded(this.#hosts, banned, limits.bans)
    return (other) => banKey(other) === banned
  }

  /** How many hosts are banned. */
  get size(): number {
    return this.#hosts.size
  }

  /** Whether the host is banned. */
  has(address: PeerAddress): boolean {
    return this.#hosts.size > 0 && this.#hosts.has(banKey(address))
  }

  /** An address, as `addressKey` spells it, is our own. */
  addSelf(key: string): void {
    addBounded(this.#selves, key, limits.selves)
  }

  /** Whether an address is our own. */
  hasSelf(key: string): boolean {
    return this.#selves.has(key)
  }
}

function banKey(address: PeerAddress): string {
  return scopeOf(address.host) === 'loopback' ? addressKey(address) : hostKey(address.host)
}

function addBounded(set: LazySet<string>, value: string, limit: number): void {
  set.add(value)
  if (set.size <= limit) return
  for (const oldest of set) {
    set.delete(oldest)
    return
  }
}
