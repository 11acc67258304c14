import { seededRandom } from './event-loop.ts'
import { type PeerPlan, SimSwarm } from './swarm.ts'

/** Bytes per millisecond of all peers together. */
const swarmBytesPerMs = 200_000
/** Blocks after which the clock is read. */
const partBlocks = 1000
/** Number of runs. The shortest time of each part counts: other load disturbs it least. */
const repeats = 3
const limitMs = 3_600_000

/** The cost of a block in a swarm of some size, in steady state. */
export interface Cost {
  readonly peers: number
  readonly pieces: number
  /** Whether there is a reader. */
  readonly reads: boolean
  /** Number of blocks counted. */
  readonly blocks: number
  /** Pieces, buckets and peers that the picker looked at for each block; the same in each run. */
  readonly steps: number
  /** Processor time for each block: in the picker, and in the whole simulation (peers, network and picker). */
  readonly pickerMicroseconds: number
  readonly wholeMicroseconds: number
}

/** A swarm to measure. */
export interface CostCase {
  readonly peers: number
  readonly pieces: number
  readonly reads: boolean
  /** Average rate of one peer. By default all peers together send 200 MB/s, whatever their number. */
  readonly bytesPerMs?: number
}

interface Part {
  readonly blocks: number
  readonly steps: number
  readonly pickerMs: number
  readonly wholeMs: number
}

/** Counts only the looks, which needs no repeats. */
export function countSteps(what: CostCase, blocks: number): number {
  const swarm = startSwarm(what)
  const { steps, blocks: counted } = runPart(swarm, blocks)
  return steps / counted
}

/** Measures several swarms alternately, so that other load on the machine hits all of them. */
export function measureCosts(cases: readonly CostCase[], blocks: number): Cost[] {
  const best: Part[][] = cases.map(() => [])
  for (let repeat = 0; repeat < repeats; repeat++) {
    const swarms = cases.map((what) => startSwarm(what))
    for (let index = 0; index * partBlocks < blocks; index++) {
      for (const [at, swarm] of swarms.entries()) {
        if (swarm.done) continue
        const part = runPart(swarm, partBlocks)
        const known = best[at]?.[index]
        const parts = best[at]
        if (parts === undefined) continue
        // The same run, so the same work: only the times differ.
        parts[index] = {
          ...part,
          pickerMs: Math.min(part.pickerMs, known?.pickerMs ?? part.pickerMs),
          wholeMs: Math.min(part.wholeMs, known?.wholeMs ?? part.wholeMs)
        }
      }
    }
  }
  return cases.map(({ peers, pieces, reads }, at) => {
    const sum = (of: (part: Part) => number): number =>
      (best[at] ?? []).reduce((total, part) => total + of(part), 0)
    const counted = sum((part) => part.blocks)
    return {
      peers,
      pieces,
      reads,
      blocks: counted,
      steps: sum((part) => part.steps) / counted,
      pickerMicroseconds: (sum((part) => part.pickerMs) * 1000) / counted,
      wholeMicroseconds: (sum((part) => part.wholeMs) * 1000) / counted
    }
  })
}

/**
 * Starts a swarm, a third seeds and the rest with part of the pieces, and runs it until all have joined and
 * sent something.
 */
function startSwarm({ peers, pieces, reads, bytesPerMs = swarmBytesPerMs / peers }: CostCase): SimSwarm {
  const swarm = new SimSwarm({
    name: 'cost',
    pieceLength: 512 << 10,
    pieceCount: pieces,
    peers: plansOf(peers, pieces, bytesPerMs),
    readers: reads ? [{ startsAtMs: 0, bytesPerMs: 5000, start: 0, seeks: [] }] : [],
    limitMs
  })
  swarm.loop.run(() => swarm.done || swarm.blocks > 2 * peers, limitMs)
  swarm.measures = true
  return swarm
}

function runPart(swarm: SimSwarm, blocks: number): Part {
  const before = swarm.blocks
  const steps = swarm.picker.steps
  swarm.pickerMs = 0
  const began = performance.now()
  swarm.loop.run(() => swarm.done || swarm.blocks >= before + blocks, limitMs)
  return {
    blocks: swarm.blocks - before,
    steps: swarm.picker.steps - steps,
    pickerMs: swarm.pickerMs,
    wholeMs: performance.now() - began
  }
}

function plansOf(peerCount: number, pieceCount: number, bytesPerMs: number): PeerPlan[] {
  const random = seededRandom(1)
  // Peers share a few bitfields, so that large swarms fit into memory.
  const bitfields = Array.from({ length: 20 }, () => {
    const bits = new Uint8Array(Math.ceil(pieceCount / 8))
    for (let piece = 0; piece < pieceCount; piece++) {
      if (random() < 0.6) bits[piece >> 3] = (bits[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
    }
    return bits
  })
  return Array.from({ length: peerCount }, (_, index) => ({
    bytesPerMs: bytesPerMs * (0.2 + 1.6 * random()),
    latencyMs: 20 + 180 * random(),
    pieces: index % 3 === 0 ? 'all' : (bitfields[index % bitfields.length] ?? 'all')
  }))
}
