/** A connected peer that may be evicted. */
export interface EvictablePeer {
  /** Priority of the peer (BEP 40). */
  readonly priority: number
  readonly connectedAt: number
  /** Whether payload is moving, or the program named this peer. */
  readonly isNeeded: boolean
}

/** Milliseconds during which a new peer is not evicted; otherwise newcomers would evict each other. */
const graceMs = 30_000

/**
 * Returns the peer to evict when there is no room for a newcomer (BEP 40): the one with the lowest priority
 * among idle peers outside their grace period, if the newcomer's priority is higher.
 */
export function toEvict<T extends EvictablePeer>(
  peers: Iterable<T>,
  priority: number,
  now: number
): T | undefined {
  let lowest: T | undefined
  for (const one of peers) {
    if (one.isNeeded || one.priority >= priority || now - one.connectedAt < graceMs) continue
    if (lowest === undefined || one.priority < lowest.priority) lowest = one
  }
  return lowest
}
