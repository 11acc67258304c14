import type { DatagramClaim } from './datagram-port.ts'

const none: readonly DatagramClaim[] = []

/** Claims on one UDP port in order of registration, indexed by the first byte of a datagram. */
export class Claims {
  readonly #claims = new Set<DatagramClaim>()
  /** Claims for each first byte; computed on the first such datagram. */
  readonly #byFirstByte = new Map<number | undefined, readonly DatagramClaim[]>()

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
