import type { DatagramClaim } from './datagram-port.ts'

const none: readonly DatagramClaim[] = []

/** The claims of a port, in the order in which they were made, found by the first byte of a datagram. */
export class Claims {
  readonly #claims = new Set<DatagramClaim>()
  /** The claims that take datagrams which begin with a byte; made when the first one comes. */
  readonly #byFirstByte = new Map<number | undefined, readonly DatagramClaim[]>()

  /** Adds a claim. */
  add(claim: DatagramClaim): void {
    this.#claims.add(claim)
    this.#byFirstByte.clear()
  }

  /** Takes a claim out. */
  delete(claim: DatagramClaim): void {
    this.#claims.delete(claim)
    this.#byFirstByte.clear()
  }

  /** Takes all claims out. */
  clear(): void {
    this.#claims.clear()
    this.#byFirstByte.clear()
  }

  /** Whether a claim has not been taken out. */
  has(claim: DatagramClaim): boolean {
    return this.#claims.has(claim)
  }

  /** The claims that may take this datagram. */
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
