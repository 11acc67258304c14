import type { PeerAddress } from '../util/address.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { addressKey, hostKey, scopeOf } from './address-scope.ts'
import { limits } from './limits.ts'

/** Banned hosts of a torrent, and addresses that turned out to be our own. */
export class Bans {
  readonly #hosts = new LazySet<string>()
  readonly #selves = new LazySet<string>()

  /** Bans a host; returns a predicate for other addresses that the ban covers. */
  add(address: PeerAddress): (other: PeerAddress) => boolean {
    const banned = banKey(address)
    addBounded(this.#hosts, banned, limits.bans)
    return (other) => banKey(other) === banned
  }

  /** Number of banned hosts. */
  get size(): number {
    return this.#hosts.size
  }

  /** Returns whether the host is banned. */
  has(address: PeerAddress): boolean {
    return this.#hosts.size > 0 && this.#hosts.has(banKey(address))
  }

  /** Records an address of our own; `key` comes from `addressKey`. */
  addSelf(key: string): void {
    addBounded(this.#selves, key, limits.selves)
  }

  /** Returns whether an address is our own; `key` comes from `addressKey`. */
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
