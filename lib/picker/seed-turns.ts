import { byStability, type Peer } from './choke-order.ts'

/** While we seed, no turn that takes data ends before this, and none lasts longer than `longestTurnMs`. */
const shortestTurnMs = 60_000
const longestTurnMs = 180_000
/** While we seed, a peer that takes nothing loses its place after this. */
const idleTurnMs = 30_000

/**
 * Interested peers in the order in which a seed serves them, best first: those in the middle of a turn by what they can
 * take, then those that wait, longest first, then those whose turn is over.
 */
export function byTurns(peers: readonly Peer[], quotaBytes: number, now: number): Peer[] {
  const turn = new Map(peers.map((peer) => [peer, turnOf(peer, quotaBytes, now)]))
  return [...peers].sort((a, b) => {
    const first = turn.get(a) ?? 0
    const difference = first - (turn.get(b) ?? 0)
    if (difference !== 0) return difference
    // Those who wait in the order of their waiting, the others by what they can take; chance yields to a turn.
    if (first === 1) return a.changedAt - b.changedAt || a.tie - b.tie
    const chance = Number(a.standing === 'optimistic') - Number(b.standing === 'optimistic')
    return chance || b.upload - a.upload || byStability(a, b)
  })
}

/** While we seed: 0 in the middle of its turn, 1 waiting for one, 2 at the end of it. */
function turnOf(peer: Peer, quotaBytes: number, now: number): 0 | 1 | 2 {
  if (peer.standing === 'choked') return 1
  const heldMs = now - peer.changedAt
  if (heldMs >= idleTurnMs && peer.sent === 0) return 2
  return heldMs >= longestTurnMs || (heldMs >= shortestTurnMs && peer.sent >= quotaBytes) ? 2 : 0
}
