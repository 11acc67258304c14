import { byStability, type Peer } from './choke-order.ts'

/** While seeding, a peer that downloads keeps its slot at least this long, and at most `maxSlotMs`. */
const minSlotMs = 60_000
const maxSlotMs = 180_000
/** While seeding, a peer that downloads nothing loses its slot after this time. */
const idleSlotMs = 30_000

/**
 * Returns interested peers in the order in which a seed unchokes them: first those that may keep their slot, fastest download first;
 * then those that wait, longest first; then those whose time in a slot is over.
 */
export function bySlotTime(peers: readonly Peer[], quotaBytes: number, now: number): Peer[] {
  const group = new Map(peers.map((peer) => [peer, groupOf(peer, quotaBytes, now)]))
  return [...peers].sort((a, b) => {
    const first = group.get(a) ?? 0
    const difference = first - (group.get(b) ?? 0)
    if (difference !== 0) return difference
    // Waiting peers go by waiting time, others by their download rate, with the optimistic peer last.
    if (first === 1) return a.changedAt - b.changedAt || a.tie - b.tie
    const chance = Number(a.standing === 'optimistic') - Number(b.standing === 'optimistic')
    return chance || b.upload - a.upload || byStability(a, b)
  })
}

/** Returns 0 for a peer that keeps its slot, 1 for one that waits, 2 for one whose time in a slot is over. */
function groupOf(peer: Peer, quotaBytes: number, now: number): 0 | 1 | 2 {
  if (peer.standing === 'choked') return 1
  const heldMs = now - peer.changedAt
  if (heldMs >= idleSlotMs && peer.sent === 0) return 2
  return heldMs >= maxSlotMs || (heldMs >= minSlotMs && peer.sent >= quotaBytes) ? 2 : 0
}
