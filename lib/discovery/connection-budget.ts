import { DialPace } from './dial-pace.ts'
import { limits } from './limits.ts'
import { type CountedConnection, NetworkShares } from './network-shares.ts'

/** The limits of a {@link ConnectionBudget}. */
export interface ConnectionLimits {
  /** Maximum number of connections, including dials in progress; default 200. */
  readonly maxConnections?: number
  /** Maximum number of dials in progress; default 100, because home routers cannot track more. */
  readonly maxHalfOpen?: number
  /** Average dials per second, with bursts of up to one second's worth; default 30. */
  readonly dialsPerSecond?: number
}

/** Limits for the connections and dials of all torrents of a client. Each torrent's `Dialer` draws on it. */
export class ConnectionBudget {
  /** Maximum number of connections, including dials in progress. */
  readonly maxConnections: number
  /** Limits the dials to one host or network. */
  readonly pace: DialPace = new DialPace()
  readonly #networks: NetworkShares
  readonly #maxHalfOpen: number
  readonly #dialsPerSecond: number
  readonly #reserve: number
  readonly #waiting = new Set<() => void>()
  #connections = 0
  #halfOpen = 0
  #tokens: number
  #at = Number.NEGATIVE_INFINITY
  /** Time before which no connection is evicted for a dial, because the last attempt found none. */
  #crowdedUntil = Number.NEGATIVE_INFINITY

  constructor({ maxConnections = 200, maxHalfOpen = 100, dialsPerSecond = 30 }: ConnectionLimits = {}) {
    this.maxConnections = maxConnections
    this.#networks = new NetworkShares(maxConnections)
    this.#maxHalfOpen = maxHalfOpen
    this.#dialsPerSecond = dialsPerSecond
    this.#reserve = incomingReserve(maxConnections)
    this.#tokens = Math.max(1, dialsPerSecond)
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#connections
  }

  /** Number of dials in progress. */
  get halfOpen(): number {
    return this.#halfOpen
  }

  /**
   * Whether another dial could start, apart from the dial rate: there is room, or a connection of a network
   * above its share could be evicted.
   */
  get mayDial(): boolean {
    if (this.hasRoom) return this.#halfOpen < this.#maxHalfOpen
    return this.#networks.isCrowded && this.#halfOpen < Math.min(limits.crowdedDials, this.#maxHalfOpen)
  }

  /** Whether there is room for a dial; the last places are reserved for incoming peers. */
  get hasRoom(): boolean {
    return this.#connections + this.#halfOpen < this.maxConnections - this.#reserve
  }

  /** Whether there is room for an incoming connection. */
  get mayAccept(): boolean {
    return this.#connections + this.#halfOpen < this.maxConnections
  }

  /**
   * Returns when the next dial may start: `now` or later (ms), or `Infinity` if the rate is 0. Without room, also waits
   * out the delay after a failed eviction.
   */
  dialAt(now: number): number {
    if (this.#dialsPerSecond <= 0) return Number.POSITIVE_INFINITY
    this.#refill(now)
    const at = this.#tokens >= 1 ? now : now + ((1 - this.#tokens) * 1000) / this.#dialsPerSecond
    return this.hasRoom ? at : Math.max(at, this.#crowdedUntil)
  }

  /**
   * Evicts connections of networks above their share until there is room to dial the host. Returns false, and
   * delays further dials, if those networks need all their connections.
   */
  makeRoomToDial(host: string, now: number): boolean {
    while (!this.hasRoom) {
      if (this.makeRoom(host, now)) continue
      this.#crowdedUntil = now + limits.crowdedMs
      return false
    }
    return true
  }

  /**
   * Evicts one connection of a network above its share in favour of another network's host. Returns false if
   * there is none.
   */
  makeRoom(host: string, now: number): boolean {
    const connection = this.#networks.toEvict(host, now)
    connection?.evict()
    return connection !== undefined
  }

  /** Returns whether the network of a host already has its full share of the connections. */
  hasShare(host: string): boolean {
    return this.#networks.count(host) >= this.#networks.share
  }

  /**
   * Registers a connection that is already counted, so that it can be evicted when its network exceeds its
   * share. Returns a function that unregisters it.
   */
  countNetwork(host: string, connection: CountedConnection): () => void {
    const { isCrowded } = this.#networks
    const leave = this.#networks.add(host, connection)
    if (!isCrowded && this.#networks.isCrowded) this.#notifyWaiting()
    return leave
  }

  /** Counts a dial that begins. */
  dial(now: number): void {
    this.redial(now)
    this.#halfOpen++
  }

  /** Counts another attempt of a dial in progress against the rate. */
  redial(now: number): void {
    this.#refill(now)
    this.#tokens--
  }

  /** Counts the end of a dial; `connected` tells whether it led to a connection. */
  dialled(connected: boolean): void {
    this.#halfOpen--
    if (connected) this.#connections++
    this.#notifyWaiting()
  }

  /** Counts a new incoming connection. */
  open(): void {
    this.#connections++
  }

  /** Counts the end of a connection. */
  close(): void {
    this.#connections--
    this.#notifyWaiting()
  }

  /** Calls `callback` once, when room may have become free. Returns a function that cancels it. */
  onRelease(callback: () => void): () => void {
    this.#waiting.add(callback)
    return () => this.#waiting.delete(callback)
  }

  #notifyWaiting(): void {
    if (this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const callback of waiting) callback()
  }

  #refill(now: number): void {
    if (now <= this.#at) return
    const tokens = this.#tokens + ((now - this.#at) * this.#dialsPerSecond) / 1000
    // Rounds up a missing thousandth, so that waking exactly at `dialAt` suffices despite rounding errors.
    this.#tokens = Math.min(Math.max(1, this.#dialsPerSecond), tokens > 0.999 && tokens < 1 ? 1 : tokens)
    this.#at = now
  }
}

/** Returns the number of connections reserved for incoming peers: a tenth of the maximum, at most 10. */
export function incomingReserve(maxConnections: number): number {
  return Math.min(10, Math.floor(maxConnections / 10))
}
