import type { PeerAddress } from '../util/address.ts'
import { asError } from '../util/errors.ts'
import type { DatagramClaim } from './datagram-port.ts'

const none: readonly DatagramClaim[] = []

/** Claims on one UDP port in order of registration, indexed by the first byte of a datagram. */
export class Claims {
  readonly #claims = new Set<DatagramClaim>()
  /** Claims for each first byte; computed on the first such datagram. */
  readonly #byFirstByte = new Map<number | undefined, readonly DatagramClaim[]>()
  /** Claims that received datagrams in this turn of the event loop and have an `onTurnEnd`. */
  readonly #served = new Set<DatagramClaim>()
  readonly #onWarning: ((error: Error) => void) | undefined

  /** `onWarning` receives the errors of claims that throw. */
  constructor(onWarning?: (error: Error) => void) {
    this.#onWarning = onWarning
  }

  /** Registers a claim after all others. */
  add(claim: DatagramClaim): void {
    this.#claims.add(claim)
    this.#byFirstByte.clear()
  }

  /** Unregisters a claim. */
  delete(claim: DatagramClaim): void {
    this.#claims.delete(claim)
    this.#byFirstByte.clear()
  }

  /** Unregisters all claims. */
  clear(): void {
    this.#claims.clear()
    this.#byFirstByte.clear()
  }

  /** Returns whether a claim is registered. */
  has(claim: DatagramClaim): boolean {
    return this.#claims.has(claim)
  }

  /** Passes a datagram to the first claim that matches. */
  deliver(message: Uint8Array, from: PeerAddress): void {
    try {
      for (const claim of this.for(message)) {
        if (!claim.matches(message, from)) continue
        if (claim.onTurnEnd !== undefined) this.#addServed(claim)
        claim.receive(message, from)
        return
      }
    } catch (error) {
      this.#onWarning?.(asError(error))
    }
  }

  #addServed(claim: DatagramClaim): void {
    if (this.#served.size === 0) setImmediate(() => this.#endTurn())
    this.#served.add(claim)
  }

  #endTurn(): void {
    const served = [...this.#served]
    this.#served.clear()
    for (const claim of served) {
      if (!this.has(claim)) continue
      try {
        claim.onTurnEnd?.()
      } catch (error) {
        this.#onWarning?.(asError(error))
      }
    }
  }

  /** Returns the claims that may match this datagram. */
  for(message: Uint8Array): readonly DatagramClaim[] {
    if (this.#claims.size === 0) return none
    const first = message[0]
    let list = this.#byFirstByte.get(first)
    if (list === undefined) {
      list = [...this.#claims].filter(
        ({ firstBytes }) => firstBytes === undefined || (first !== undefined && firstBytes.includes(first))
      )
      this.#byFirstByte.set(first, list)
    }
    return list
  }
}
