import { networkKey } from '../util/ip-network.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { scopeOf } from './address-scope.ts'
import { limits } from './limits.ts'

/** A connection of a client, as far as it may have to make room for one from another network. */
export interface Seat {
  /** Whether it stays although its network has more than its share. */
  isNeeded(now: number): boolean
  /** Closes it; its place is free at once. */
  evict(): void
}

/**
 * The connections of a client by network (/24, in IPv6 /48), local ones included. A network may fill places that no other wants;
 * beyond its share its connections are evicted for peers of networks with fewer. This machine and host names are no network.
 */
export class NetworkSeats {
  /** Connections of one network that are never evicted for other networks. */
  readonly share: number
  /** The oldest of each network first. */
  readonly #networks = new LazyMap<string, Set<Seat>>()
  #crowded = 0

  /** Nothing is connected yet. */
  constructor(maxConnections: number) {
    this.share = Math.min(limits.networkShare, Math.ceil(maxConnections / 4))
  }

  /** Whether a network has more than its share. */
  get isCrowded(): boolean {
    return this.#crowded > 0
  }

  /** How many connections there are to the network of a host. */
  count(host: string): number {
    const network = networkOf(host)
    return network === undefined ? 0 : (this.#networks.get(network)?.size ?? 0)
  }

  /** Counts a connection with a host; the function returned counts its end, once. */
  add(host: string, seat: Seat): () => void {
    const network = networkOf(host)
    if (network === undefined) return () => {}
    let seats = this.#networks.get(network)
    if (seats === undefined) this.#networks.set(network, (seats = new Set()))
    seats.add(seat)
    if (seats.size === this.share + 1) this.#crowded++
    return () => {
      if (!seats.delete(seat)) return
      if (seats.size === this.share) this.#crowded--
      if (seats.size === 0 && this.#networks.get(network) === seats) this.#networks.delete(network)
    }
  }

  /**
   * Returns the connection that is evicted for one with a host: the oldest that is not needed of the network with most connections, if it has
   * more than its share, and still as many as the host's own one afterwards.
   */
  toEvict(host: string, now: number): Seat | undefined {
    if (!this.isCrowded) return undefined
    let most = Math.max(this.share, this.count(host) + 1)
    let found: Seat | undefined
    for (const seats of this.#networks.values()) {
      if (seats.size <= most) continue
      const seat = firstOf(seats, (one) => !one.isNeeded(now))
      if (seat === undefined) continue
      found = seat
      most = seats.size
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
