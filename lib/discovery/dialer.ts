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
  /** The addresses to dial. */
  readonly book: AddressBook
  /** Limits shared with other torrents; a budget of its own by default. */
  readonly budget?: ConnectionBudget
  /** The most connections of this torrent, default the budget's. */
  readonly maxConnections?: number
  /** The most dials of this torrent under way, default 30. */
  readonly maxHalfOpen?: number
}

/**
 * Decides when a torrent dials which candidate, and whether it accepts a peer. It dials nothing itself: every candidate that
 * `nextDial` gives must end in `failed`, or in `connected` and later `disconnected`. Pure.
 */
export class Dialer {
  readonly #book: AddressBook
  readonly #budget: ConnectionBudget
  readonly #maxConnections: number
  readonly #maxHalfOpen: number
  readonly #reserve: number
  /** Addresses that we dialled, and whether the connection stands. */
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

  /** Connections that stand, in both directions. */
  get connections(): number {
    return this.#outgoing.size - this.#halfOpen + this.#incoming
  }

  /** Dials under way. */
  get halfOpen(): number {
    return this.#halfOpen
  }

  /** The peer to dial now, whose dial thereby counts as begun, or undefined: then see `wakeAt`. */
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
   * When `nextDial` may have a candidate (ms): `now` or later. `Infinity` while there is no address or no room; room
   * comes with this torrent's own changes or with the budget's `onRelease`.
   */
  wakeAt(now: number): number {
    if (!this.#mayDial()) return Number.POSITIVE_INFINITY
    return Math.max(now, this.#book.wakeAt, this.#budget.dialAt(now))
  }

  /** The dial goes on with another variant, which counts against the rate of dials like the first one. */
  retried({ address, source }: Candidate, now: number): void {
    if (this.#outgoing.get(addressKey(address)) !== false) return
    const keys = source === 'manual' ? undefined : dialKeys(address)
    if (keys !== undefined) this.#budget.pace.began(keys, now)
    this.#budget.redial(now)
  }

  /** The dialled peer has answered our handshake; without `isWelcome` it does not stay, and its answer proves nothing. */
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

  /** The dial or the handshake failed. */
  failed(address: PeerAddress, now: number): void {
    const key = addressKey(address)
    if (this.#outgoing.get(key) !== false) return
    this.#outgoing.delete(key)
    this.#halfOpen--
    this.#book.failed(address, now)
    this.#budget.dialled(false)
  }

  /** A connection that we dialled has ended. */
  disconnected(address: PeerAddress, now: number, outcome: Outcome): void {
    const key = addressKey(address)
    if (this.#outgoing.get(key) !== true) return
    this.#outgoing.delete(key)
    this.#book.disconnected(address, now, outcome)
    this.#budget.close()
  }

  /**
   * Accepts an incoming peer and counts it; undefined when it is banned or there is no room. The function returned counts its end,
   * once. Whether the peer is connected already is for the caller to see.
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

  /** Dials and accepts nothing more, and gives what our dials hold back to the budget; idempotent. */
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

  #mayDial(): boolean {
    return (
      !this.#closed &&
      this.#budget.mayDial &&
      this.#halfOpen < this.#maxHalfOpen &&
      // With the limit of the budget its room is that of this torrent.
      (this.#maxConnections >= this.#budget.maxConnections ||
        this.#outgoing.size + this.#incoming < this.#maxConnections - this.#reserve)
    )
  }
}
