import { blockLength } from '../../lib/metainfo/layout.ts'
import { hashedPerMs, type PeerPlan, type Scenario, startRoundTrips } from './swarm.ts'

/** Pieces that the same peers can deliver from the same time on, and the number of their missing blocks. */
interface Demand {
  readonly blocks: number
  /** By peer: the earliest time at which the piece can be requested from it; Infinity if it never has it. */
  readonly from: Float64Array
}

/**
 * Returns the earliest time at which any scheduler could have the missing blocks of `pieces`, if nothing is
 * known before `at` and all links are idle then. For each time, counts the blocks that each holder can have
 * delivered, and checks with a maximum flow over the holders whether they suffice. The ideal scheduler knows
 * rates, delays and the future, but sends nothing twice and waits for whole pieces.
 */
export function earliest(
  scenario: Scenario,
  pieces: readonly { readonly piece: number; readonly blocks: number }[],
  at: number
): number {
  const { peers } = scenario
  const demands = new Map<string, Demand>()
  for (const { piece, blocks } of pieces) {
    if (blocks === 0) continue
    const from = Float64Array.from(peers, (plan) => releaseOf(plan, piece, at))
    const key = from.join()
    demands.set(key, { from, blocks: blocks + (demands.get(key)?.blocks ?? 0) })
  }
  const list = [...demands.values()]
  if (list.length === 0) return at
  let low = at
  let high = at + 1000
  while (!fits(scenario, list, high)) {
    low = high
    high = at + (high - at) * 2
    if (high - at > 1e9) return Number.POSITIVE_INFINITY
  }
  while (high - low > 1) {
    const middle = (low + high) / 2
    if (fits(scenario, list, middle)) high = middle
    else low = middle
  }
  return high + scenario.pieceLength / hashedPerMs
}

/** Returns the missing blocks of the pieces that hold `[start, end)`. */
export function missingOf(
  scenario: Scenario,
  start: number,
  end: number,
  missing: (piece: number) => number
): { piece: number; blocks: number }[] {
  const list = []
  const last = Math.min(scenario.pieceCount, Math.ceil(end / scenario.pieceLength))
  for (let piece = Math.floor(start / scenario.pieceLength); piece < last; piece++) {
    list.push({ piece, blocks: missing(piece) })
  }
  return list
}

/**
 * Returns the least total time that a player which began at `playsAt` must wait: for each piece, how much
 * after its turn the piece and all before it can be complete at best.
 */
export function leastStallMs(
  scenario: Scenario,
  pieces: readonly { readonly piece: number; readonly blocks: number }[],
  at: number,
  playsAt: number,
  bytesPerMs: number
): number {
  let worst = 0
  // The beginning is the bottleneck; further on only some pieces are checked.
  for (let count = 1; count <= pieces.length; count += count < 32 ? 1 : 8) {
    const turn = playsAt + ((count - 1) * scenario.pieceLength) / bytesPerMs
    worst = Math.max(worst, earliest(scenario, pieces.slice(0, count), at) - turn)
  }
  return worst
}

/** Returns the blocks that a peer whose first request can be sent at `from` has delivered by `time`. */
function delivered(plan: PeerPlan, from: number, time: number): number {
  const { leavesAtMs = Number.POSITIVE_INFINITY, silentAfterBytes = Number.POSITIVE_INFINITY } = plan
  const ms = Math.min(time, leavesAtMs) - from - plan.latencyMs
  if (!(ms > 0)) return 0
  return Math.floor(Math.min(ms * plan.bytesPerMs, silentAfterBytes) / blockLength + 1e-9)
}

function releaseOf(plan: PeerPlan, piece: number, at: number): number {
  if (plan.silent === true || (plan.corrupts ?? 0) > 0) return Number.POSITIVE_INFINITY
  const { joinsAtMs = 0, unchokesAfterMs = 0, latencyMs, pieces = 'all', gains = [] } = plan
  const ready = Math.max(at, joinsAtMs + startRoundTrips * latencyMs + unchokesAfterMs)
  if (pieces === 'all') return ready
  const has =
    pieces instanceof Uint8Array
      ? ((pieces[piece >> 3] ?? 0) & (0x80 >> (piece & 7))) !== 0
      : pieces.includes(piece)
  if (has) return ready
  const gained = gains.find((gain) => gain.piece === piece)
  // We learn of it half a round trip later.
  return gained === undefined ? Number.POSITIVE_INFINITY : Math.max(ready, gained.atMs + latencyMs / 2)
}

/** Returns whether all demands can be met by a time: a maximum flow from peers to demands. */
function fits(scenario: Scenario, demands: readonly Demand[], time: number): boolean {
  const { peers } = scenario
  const left = demands.map(({ blocks }) => blocks)
  const spare = peers.map((plan, peer) => {
    const from = demands.reduce((least, demand) => Math.min(least, demand.from[peer] ?? least), Infinity)
    return delivered(plan, from, time)
  })
  let total = left.reduce((sum, blocks) => sum + blocks, 0)
  if (spare.reduce((sum, blocks) => sum + blocks, 0) < total) return false
  // Flow per peer and demand.
  const flow = demands.map(() => new Float64Array(peers.length))
  const most = demands.map(({ from }) =>
    Float64Array.from(peers, (plan, peer) => delivered(plan, from[peer] ?? Infinity, time))
  )
  while (total > 0) {
    // A path from a peer with spare capacity to an unmet demand, over flow that can be moved.
    const fromPeer = new Int32Array(demands.length).fill(-1)
    const fromDemand = new Int32Array(peers.length).fill(-2)
    const queue: number[] = []
    for (let peer = 0; peer < peers.length; peer++) {
      if ((spare[peer] ?? 0) > 0) {
        fromDemand[peer] = -1
        queue.push(peer)
      }
    }
    let target = -1
    for (let head = 0; head < queue.length && target < 0; head++) {
      const peer = queue[head] ?? 0
      for (let demand = 0; demand < demands.length && target < 0; demand++) {
        const used = flow[demand]?.[peer] ?? 0
        if ((fromPeer[demand] ?? 0) >= 0 || used >= (most[demand]?.[peer] ?? 0)) continue
        fromPeer[demand] = peer
        if ((left[demand] ?? 0) > 0) target = demand
        for (let other = 0; other < peers.length; other++) {
          if (fromDemand[other] !== -2 || (flow[demand]?.[other] ?? 0) === 0) continue
          fromDemand[other] = demand
          queue.push(other)
        }
      }
    }
    if (target < 0) return false
    let amount = left[target] ?? 0
    for (let demand = target; demand >= 0; ) {
      const peer = fromPeer[demand] ?? 0
      amount = Math.min(amount, (most[demand]?.[peer] ?? 0) - (flow[demand]?.[peer] ?? 0))
      const before = fromDemand[peer] ?? -1
      amount = Math.min(amount, before < 0 ? (spare[peer] ?? 0) : (flow[before]?.[peer] ?? 0))
      demand = before
    }
    left[target] = (left[target] ?? 0) - amount
    total -= amount
    for (let demand = target; demand >= 0; ) {
      const peer = fromPeer[demand] ?? 0
      const row = flow[demand]
      if (row !== undefined) row[peer] = (row[peer] ?? 0) + amount
      const before = fromDemand[peer] ?? -1
      if (before < 0) spare[peer] = (spare[peer] ?? 0) - amount
      else {
        const other = flow[before]
        if (other !== undefined) other[peer] = (other[peer] ?? 0) - amount
      }
      demand = before
    }
  }
  return true
}
