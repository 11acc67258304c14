import { earliest, leastStallMs, missingOf } from './bounds.ts'
import { type Scenario, SimSwarm } from './swarm.ts'

/** The time of a jump, and its least possible time. */
export interface JumpResult {
  readonly seek: boolean
  readonly firstByteMs: number
  readonly firstMiBMs: number
  readonly firstByteBoundMs: number
  readonly boundMs: number
  readonly stalls: number
  readonly stalledMs: number
  readonly stallBoundMs: number
}

/** The result of a scenario. */
export interface Result {
  readonly name: string
  readonly jumps: readonly JumpResult[]
  /** Share of received bytes that were duplicate or unrequested. */
  readonly wasted: number
  /** Share of the bytes that all peers could have sent until the download was complete. */
  readonly used: number
  readonly completionMs: number
  /** The same swarm without readers. */
  readonly rarestFirstMs: number
  readonly completionBoundMs: number
}

/** Runs a scenario with its readers and without. */
export function measure(scenario: Scenario): Result {
  const swarm = new SimSwarm(scenario)
  const { blocksPerPiece } = swarm.layout
  // Bounds of a jump start from the pieces verified at that moment.
  const snapshots = new Map<string, { readonly missing: Uint16Array; readonly rest: Scenario }>()
  const snapshot = (key: string): void => {
    const missing = new Uint16Array(scenario.pieceCount)
    for (let piece = 0; piece < missing.length; piece++) {
      const received = swarm.picker.table.blocks.get(piece)?.received ?? 0
      missing[piece] = swarm.has(piece) ? 0 : blocksPerPiece - received
    }
    snapshots.set(key, { missing, rest: swarm.rest })
  }
  for (const [index, { seeks }] of scenario.readers.entries()) {
    for (const { atMs } of seeks) swarm.loop.at(atMs - 1e-6, () => snapshot(`${index} ${atMs}`))
  }
  swarm.run()
  const jumps: JumpResult[] = []
  for (const [index, reader] of swarm.readers.entries()) {
    for (const jump of reader.jumps) {
      const { at, offset, firstByteAt, firstMiBAt, stalls, stalledMs } = jump
      const snapshot = snapshots.get(`${index} ${at}`)
      const rest = snapshot?.rest ?? scenario
      const blocksOf = (piece: number): number =>
        snapshot === undefined ? blocksPerPiece : (snapshot.missing[piece] ?? 0)
      const first = missingOf(scenario, offset, offset + 1, blocksOf)
      const mebi = missingOf(scenario, offset, offset + (1 << 20), blocksOf)
      // Only up to the position that the reader reached before it jumped again.
      const end = offset + (jump.endedAt - firstMiBAt) * reader.plan.bytesPerMs
      const all = stalledMs > 0 ? missingOf(scenario, offset, end, blocksOf) : []
      const seek = snapshot !== undefined
      jumps.push({
        seek,
        firstByteMs: firstByteAt - at,
        firstMiBMs: firstMiBAt - at,
        firstByteBoundMs: earliest(rest, first, at) - at + againMs(swarm, first, at, firstByteAt),
        boundMs: earliest(rest, mebi, at) - at + againMs(swarm, mebi, at, firstMiBAt),
        stalls,
        stalledMs,
        stallBoundMs:
          leastStallMs(rest, all, at, firstMiBAt, reader.plan.bytesPerMs) +
          againMs(swarm, all, firstMiBAt, jump.endedAt)
      })
    }
  }
  const plain = new SimSwarm({ ...scenario, readers: [] })
  plain.run()
  const completionMs = Math.max(...swarm.verifiedAt)
  const everything = missingOf(scenario, 0, swarm.layout.length, () => blocksPerPiece)
  return {
    name: scenario.name,
    jumps,
    wasted: swarm.wastedBytes / (swarm.usefulBytes + swarm.wastedBytes),
    used: swarm.layout.length / capacityUntil(scenario, completionMs),
    completionMs,
    rarestFirstMs: Math.max(...plain.verifiedAt),
    completionBoundMs: earliest(scenario, everything, 0)
  }
}

/**
 * Returns the least time in which failed pieces arrive again from the peers known by then. A piece with a
 * liar's block fails only once it is whole, and no scheduler knows liars in advance.
 */
function againMs(swarm: SimSwarm, wanted: readonly { piece: number }[], from: number, until: number): number {
  let ms = 0
  for (const { piece, at } of swarm.failedAt) {
    if (at < from || at > until || !wanted.some((other) => other.piece === piece)) continue
    ms += earliest(swarm.scenario, [{ piece, blocks: swarm.layout.blocksPerPiece }], at) - at
  }
  return ms
}

function capacityUntil(scenario: Scenario, time: number): number {
  let bytes = 0
  for (const plan of scenario.peers) {
    if (plan.silent === true || (plan.corrupts ?? 0) > 0) continue
    const ms = Math.max(0, Math.min(time, plan.leavesAtMs ?? time) - (plan.joinsAtMs ?? 0))
    bytes += Math.min(ms * plan.bytesPerMs, plan.silentAfterBytes ?? Number.POSITIVE_INFINITY)
  }
  return bytes
}
