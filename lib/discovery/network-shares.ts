import { networkKey } from '../util/ip-network.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { scopeOf } from './address-scope.ts'
import { limits } from './limits.ts'

/** A connection that may be evicted for a connection to another network. */
export interface CountedConnection {
  /** Returns whether it must stay although its network is above its share. */
  isNeeded(now: number): boolean
  /** Closes the connection, which stops counting at once. */
  evict(): void
}

/**
 * Connections of a client by network (/24, in IPv6 /48), including local networks. A network may use connections
 * that no other network wants; connections above its share are evicted for peers of networks with fewer.
 * Loopback and host names count as no network.
 */
export class NetworkShares {
  /** Connections of one network that are never evicted for other networks. */
  readonly share: number
  /** Connections of each network, oldest first. */
  readonly #networks = new LazyMap<string, Set<CountedConnection>>()
  #crowded = 0

  constructor(maxConnections: number) {
    this.share = Math.min(limits.networkShare, Math.ceil(maxConnections / 4))
  }

  /** Whether any network is above its share. */
  get isCrowded(): boolean {
    return this.#crowded > 0
  }

  /** Returns the number of connections to the network of a host. */
  count(host: string): number {
    const network = networkOf(host)
    return network === undefined ? 0 : (this.#networks.get(network)?.size ?? 0)
  }

  /** Counts a connection to a host. Returns a function that counts its end, once. */
  add(host: string, connection: CountedConnection): () => void {
    const network = networkOf(host)
    if (network === undefined) return () => {}
    let connections = this.#networks.get(network)
    if (connections === undefined) this.#networks.set(network, (connections = new Set()))
    connections.add(connection)
    if (connections.size === this.share + 1) this.#crowded++
    return () => {
      if (!connections.delete(connection)) return
      if (connections.size === this.share) this.#crowded--
      if (connections.size === 0 && this.#networks.get(network) === connections)
        this.#networks.delete(network)
    }
  }

  /**
   * Returns the connection to evict for a new one to `host`: the oldest unneeded one of the largest network.
   * That network must be above its share, and must not become smaller than the network of `host`.
   */
  toEvict(host: string, now: number): CountedConnection | undefined {
    if (!this.isCrowded) return undefined
    let most = Math.max(this.share, this.count(host) + 1)
    let found: CountedConnection | undefined
    for (const connections of this.#networks.values()) {
      if (connections.size <= most) continue
      const connection = firstOf(connections, (one) => !one.isNeeded(now))
      if (connection === undefined) continue
      found = connection
      most = connections.size
    }
    return found
  }
}

function networkOf(host: string): string | undefined {
  return scopeOf(host) === 'loopback' ? undefined : networkKey(host)
}

function firstOf<T>(values: Iterable<T>, test: (value: T) => boolean): T | undefined {
  for (const value of values) if (test(value)) return value
  return undefined
}
