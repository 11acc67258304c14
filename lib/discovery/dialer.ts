import type { PeerAddress } from '../util/address.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { AddressBook, Candidate } from './address-book.ts'
import { addressKey } from './address-scope.ts'
import type { Outcome } from './back-off.ts'
import { ConnectionBudget, incomingReserve } from './connection-budget.ts'
import { dialKeys } from './dial-pace.ts'
import type { DialVariant } from './dial-variant.ts'

/** Options of a {@link Dialer}. */
export interface DialerOptions {
  /** Addresses to dial. */
  readonly book: AddressBook
  /** Limits shared with other torrents; default a budget of its own. */
  readonly budget?: ConnectionBudget
  /** Maximum number of connections of this torrent; default the budget's. */
  readonly maxConnections?: number
  /** Maximum number of dials of this torrent in progress; default 30. */
  readonly maxHalfOpen?: number
}

/**
 * Decides when a torrent dials which candidate, and whether it accepts an incoming peer. Opens no connections
 * itself: each candidate from `nextDial` must end in `failed`, `postponed`, or in `connected` and later `disconnected`.
 * Pure: time is an argument.
 */
export class Dialer {
  readonly #book: AddressBook
  readonly #budget: ConnectionBudget
  readonly #maxConnections: number
  readonly #maxHalfOpen: number
  readonly #reserve: number
  /** Outgoing addresses, and whether each is connected. */
  readonly #outgoing = new LazyMap<string, boolean>()
  #halfOpen = 0
  #incoming = 0
  #closed = false

  constructor({ book, budget, maxConnections, maxHalfOpen }: DialerOptions) {
    this.#book = book
    this.#budget = budget ?? new ConnectionBudget()
    this.#maxConnections = maxConnections ?? this.#budget.maxConnections
    this.#maxHalfOpen = maxHalfOpen ?? 30
    this.#reserve = incomingReserve(this.#maxConnections)
  }

  /** Number of open connections, in both directions. */
  get connections(): number {
    return this.#outgoing.size - this.#halfOpen + this.#incoming
  }

  /** Number of dials in progress. */
  get halfOpen(): number {
    return this.#halfOpen
  }

  /** Returns the peer to dial now and counts the dial; undefined if there is none, then see `wakeAt`. */
  nextDial(now: number): Candidate | undefined {
    if (!this.#mayDial() || this.#budget.dialAt(now) > now) return undefined
    const { pace } = this.#budget
    const candidate = this.#book.next(now, pace)
    if (candidate === undefined) return undefined
    if (!this.#budget.makeRoomToDial(candidate.address.host, now)) return undefined
    const keys = candidate.source === 'manual' ? undefined : dialKeys(candidate.address)
    if (keys !== undefined) pace.began(keys, now)
    this.#book.dialling(candidate.address, now)
    this.#budget.dial(now)
    this.#outgoing.set(addressKey(candidate.address), false)
    this.#halfOpen++
    return candidate
  }

  /**
   * Returns when `nextDial` may have a candidate: `now` or later (ms). `Infinity` while there is no address
   * or no room; then ask again after a dial or connection of this torrent has ended, or
   * when the budget's `onRelease` calls back.
   */
  wakeAt(now: number): number {
    if (!this.#mayDial()) return Number.POSITIVE_INFINITY
    return Math.max(now, this.#book.wakeAt, this.#budget.dialAt(now))
  }

  /** Counts another attempt of a dial, with the next variant, against the dial rate. */
  retried({ address, source }: Candidate, now: number): void {
    if (this.#outgoing.get(addressKey(address)) !== false) return
    const keys = source === 'manual' ? undefined : dialKeys(address)
    if (keys !== undefined) this.#budget.pace.began(keys, now)
    this.#budget.redial(now)
  }

  /**
   * Records that the dialled peer answered our handshake. Without `isWelcome` the connection is about to be closed, and
   * the answer does not prove the address.
   */
  connected(address: PeerAddress, isWelcome = true, variant?: DialVariant): void {
    const key = addressKey(address)
    if (this.#outgoing.get(key) !== false) return
    this.#outgoing.set(key, true)
    this.#halfOpen--
    this.#budget.dialled(true)
    this.#book.connected(address, isWelcome, variant)
    const keys = isWelcome ? dialKeys(address) : undefined
    if (keys !== undefined) this.#budget.pace.answered(keys)
  }

  /** Records that the dial or the handshake failed. */
  failed(address: PeerAddress, now: number): void {
    if (!this.#abandon(address)) return
    this.#book.failed(address, now)
    this.#budget.dialled(false)
  }

  /** Records that the address could not be dialled, for which it is not at fault. */
  postponed(address: PeerAddress, now: number): void {
    if (!this.#abandon(address)) return
    this.#book.postponed(address, now)
    const keys = dialKeys(address)
    if (keys !== undefined) this.#budget.pace.answered(keys)
    this.#budget.dialled(false)
  }

  /** Records that a connection that we dialled has ended. */
  disconnected(address: PeerAddress, now: number, outcome: Outcome): void {
    const key = addressKey(address)
    if (this.#outgoing.get(key) !== true) return
    this.#outgoing.delete(key)
    this.#book.disconnected(address, now, outcome)
    this.#budget.close()
  }

  /**
   * Accepts and counts an incoming peer. Returns a function to call when its connection ends (idempotent), or
   * undefined if the peer is banned or there is no room. The caller checks for duplicate connections.
   */
  accept(from: PeerAddress): (() => void) | undefined {
    if (this.#closed || this.#book.isBanned(from) || !this.#budget.mayAccept) return undefined
    if (this.#outgoing.size + this.#incoming >= this.#maxConnections) return undefined
    this.#incoming++
    this.#budget.open()
    let open = true
    return () => {
      if (!open) return
      open = false
      this.#incoming--
      this.#budget.close()
    }
  }

  /** Stops dialling and accepting, and releases the outgoing dials and connections in the budget; idempotent. */
  close(): void {
    this.#closed = true
    const outgoing = [...this.#outgoing.values()]
    this.#outgoing.clear()
    this.#halfOpen = 0
    for (const connected of outgoing) {
      if (connected) this.#budget.close()
      else this.#budget.dialled(false)
    }
  }

  /** Stops counting a dial in progress; returns whether there is one. */
  #abandon(address: PeerAddress): boolean {
    const key = addressKey(address)
    if (this.#outgoing.get(key) !== false) return false
    this.#outgoing.delete(key)
    this.#halfOpen--
    return true
  }

  #mayDial(): boolean {
    return (
      !this.#closed &&
      this.#budget.mayDial &&
      this.#halfOpen < this.#maxHalfOpen &&
      // At the budget's own maximum, the budget's check suffices.
      (this.#maxConnections >= this.#budget.maxConnections ||
        this.#outgoing.size + this.#incoming < this.#maxConnections - this.#reserve)
    )
  }
}
