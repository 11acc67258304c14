import { DialPace } from './dial-pace.ts'
import { limits } from './limits.ts'
import { NetworkSeats, type Seat } from './network-seats.ts'

/** The limits of a {@link ConnectionBudget}. */
export interface ConnectionLimits {
  /** The most connections, those being dialled included; default 200. */
  readonly maxConnections?: number
  /** The most dials under way; default 100. Home routers lose track of more. */
  readonly maxHalfOpen?: number
  /** Dials per second on average, with bursts of one second's worth; default 30. */
  readonly dialsPerSecond?: number
}

/** Connections and dials of all torrents of a client; each torrent's `Dialer` takes from it and gives back. */
export class ConnectionBudget {
  /** The most connections, those being dialled included. */
  readonly maxConnections: number
  /** Holds dials to one host or network back. */
  readonly pace: DialPace = new DialPace()
  readonly #seats: NetworkSeats
  readonly #maxHalfOpen: number
  readonly #dialsPerSecond: number
  readonly #reserve: number
  readonly #waiting = new Set<() => void>()
  #connections = 0
  #halfOpen = 0
  #tokens: number
  #at = Number.NEGATIVE_INFINITY
  /** Until then no dial finds room. */
  #crowdedUntil = Number.NEGATIVE_INFINITY

  /** A budget of which nothing is used. */
  constructor({ maxConnections = 200, maxHalfOpen = 100, dialsPerSecond = 30 }: ConnectionLimits = {}) {
    this.maxConnections = maxConnections
    this.#seats = new NetworkSeats(maxConnections)
    this.#maxHalfOpen = maxHalfOpen
    this.#dialsPerSecond = dialsPerSecond
    this.#reserve = incomingReserve(maxConnections)
    this.#tokens = Math.max(1, dialsPerSecond)
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections
  }

  /** Dials under way. */
  get halfOpen(): number {
    return this.#halfOpen
  }

  /** Whether there is room for another dial, apart from their rate, or a connection of a network above its share can be evicted. */
  get mayDial(): boolean {
    if (this.hasRoom) return this.#halfOpen < this.#maxHalfOpen
    return this.#seats.isCrowded && this.#halfOpen < Math.min(limits.crowdedDials, this.#maxHalfOpen)
  }

  /** Whether a place for a dial is free; the last ones are kept for incoming peers. */
  get hasRoom(): boolean {
    return this.#connections + this.#halfOpen < this.maxConnections - this.#reserve
  }

  /** Whether there is room for an incoming connection. */
  get mayAccept(): boolean {
    return this.#connections + this.#halfOpen < this.maxConnections
  }

  /** When the rate allows the next dial: `now` or later (ms), or `Infinity` when it allows none. */
  dialAt(now: number): number {
    if (this.#dialsPerSecond <= 0) return Number.POSITIVE_INFINITY
    this.#refill(now)
    const at = this.#tokens >= 1 ? now : now + ((1 - this.#tokens) * 1000) / this.#dialsPerSecond
    return this.hasRoom ? at : Math.max(at, this.#crowdedUntil)
  }

  /** Evicts from networks above their share until a host can be dialled; false when they need all their connections, and dials have to wait. */
  makeRoomToDial(host: string, now: number): boolean {
    while (!this.hasRoom) {
      if (this.makeRoom(host, now)) continue
      this.#crowdedUntil = now + limits.crowdedMs
      return false
    }
    return true
  }

  /** Evicts a connection of a network above its share for a host of another network; false when there is none. */
  makeRoom(host: string, now: number): boolean {
    const seat = this.#seats.toEvict(host, now)
    seat?.evict()
    return seat !== undefined
  }

  /** Whether the network of a host has its share of the connections. */
  hasShare(host: string): boolean {
    return this.#seats.count(host) >= this.#seats.share
  }

  /** Names the connection with a host, which counts already, for the case that its network has more than its share; the function returned takes it back. */
  seat(host: string, seat: Seat): () => void {
    const { isCrowded } = this.#seats
    const leave = this.#seats.add(host, seat)
    if (!isCrowded && this.#seats.isCrowded) this.#tell()
    return leave
  }

  /** Counts a dial that begins. */
  dial(now: number): void {
    this.redial(now)
    this.#halfOpen++
  }

  /** Counts a further attempt of a dial under way against the rate. */
  redial(now: number): void {
    this.#refill(now)
    this.#tokens--
  }

  /** Counts a dial that ended, with a connection or without. */
  dialled(connected: boolean): void {
    this.#halfOpen--
    if (connected) this.#connections++
    this.#tell()
  }

  /** Counts an incoming connection. */
  open(): void {
    this.#connections++
  }

  /** Counts a connection that ended. */
  close(): void {
    this.#connections--
    this.#tell()
  }

  /** Calls back once when a place becomes free; the function returned takes the wish back. */
  onRelease(callback: () => void): () => void {
    this.#waiting.add(callback)
    return () => this.#waiting.delete(callback)
  }

  #tell(): void {
    if (this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const callback of waiting) callback()
  }

  #refill(now: number): void {
    if (now <= this.#at) return
    const tokens = this.#tokens + ((now - this.#at) * this.#dialsPerSecond) / 1000
    // A thousandth of a dial is forgiven, so that waking exactly when told suffices in spite of rounding.
    this.#tokens = Math.min(Math.max(1, this.#dialsPerSecond), tokens > 0.999 && tokens < 1 ? 1 : tokens)
    this.#at = now
  }
}

/** Places that dials leave to incoming peers: a tenth, 10 at most. */
export function incomingReserve(maxConnections: number): number {
  return Math.min(10, Math.floor(maxConnections / 10))
}
