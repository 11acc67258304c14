/** A connected peer among those of which one may have to leave. */
export interface Seated {
  /** Its priority (BEP 40). */
  readonly priority: number
  readonly connectedAt: number
  /** Whether payload moves, or we were asked for this very peer. */
  readonly isNeeded: boolean
}

/** A peer is left alone for so long, or newcomers would push each other out. */
const graceMs = 30_000

/**
 * The peer that gives way when a newcomer finds no room (BEP 40): the one with the lowest priority among those that neither move
 * anything nor came just now, if the newcomer's is higher.
 */
export function givesWay<T extends Seated>(
  seated: Iterable<T>,
  priority: number,
  now: number
): T | undefined {
  let lowest: T | undefined
  for (const one of seated) {
    if (one.isNeeded || one.priority >= priority || now - one.connectedAt < graceMs) continue
    if (lowest === undefined || one.priority < lowest.priority) lowest = one
  }
  return lowest
}
