/** A connected peer that may be evicted. */
export interface Seated {
  /** Its priority (BEP 40). */
  readonly priority: number
  readonly connectedAt: number
  /** Whether payload moves, or the program has named this very peer. */
  readonly isNeeded: boolean
}

/** Milliseconds for which a new peer is not evicted, or newcomers would evict each other. */
const graceMs = 30_000

/**
 * Returns the peer that is evicted when a newcomer finds no room (BEP 40): the one with the lowest priority among peers that neither
 * move anything nor came just now, if the newcomer's is higher.
 */
export function toEvict<T extends Seated>(seated: Iterable<T>, priority: number, now: number): T | undefined {
  let lowest: T | undefined
  for (const one of seated) {
    if (one.isNeeded || one.priority >= priority || now - one.connectedAt < graceMs) continue
    if (lowest === undefined || one.priority < lowest.priority) lowest = one
  }
  return lowest
}
