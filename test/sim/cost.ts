import { seededRandom } from './event-loop.ts'
import { type PeerPlan, SimSwarm } from './swarm.ts'

/** Bytes per millisecond of all peers together. */
const swarmBytesPerMs = 200_000
/** Blocks after which the clock is read: the shortest of many short times is the one in which the machine did nothing else. */
const windowBlocks = 2000
const limitMs = 3_600_000

/** What a block costs in a swarm of some size, in steady state. */
export interface Cost {
  readonly peers: number
  readonly pieces: number
  /** Whether somebody reads. */
  readonly reads: boolean
  /** Blocks that were counted. */
  readonly blocks: number
  /** Pieces, buckets and peers that the picker looked at for each block; the same in each run. */
  readonly steps: number
  /** Processor time in the picker for each block, and that of the whole simulation: peers, network and picker. */
  readonly pickerMicroseconds: number
  readonly wholeMicroseconds: number
}

/** A swarm, a third of it seeds and the rest with part of the pieces, in which the cost of a block is measured piecemeal. */
export class CostRun {
  readonly #swarm: SimSwarm
  readonly #peers: number
  readonly #pieces: number
  readonly #reads: boolean
  #steps = 0
  #blocks = 0
  #pickerMicroseconds = Number.POSITIVE_INFINITY
  #wholeMicroseconds = Number.POSITIVE_INFINITY

  /** Runs until all peers are there and have sent something: what begins once is not counted. */
  constructor(peers: number, pieces: number, reads: boolean, bytesPerMs: number = swarmBytesPerMs / peers) {
    this.#peers = peers
    this.#pieces = pieces
    this.#reads = reads
    this.#swarm = new SimSwarm({
      name: 'cost',
      pieceLength: 512 << 10,
      pieceCount: pieces,
      peers: plansOf(peers, pieces, bytesPerMs),
      readers: reads ? [{ startsAtMs: 0, bytesPerMs: 5000, start: 0, seeks: [] }] : [],
      limitMs
    })
    this.#swarm.loop.run(() => this.#swarm.done || this.#swarm.blocks > 2 * peers, limitMs)
    this.#swarm.measures = true
  }

  /** Whether everything is there, so that there is nothing more to measure. */
  get done(): boolean {
    return this.#swarm.done
  }

  /** Lets some more blocks come. */
  run(blocks: number = windowBlocks): void {
    const swarm = this.#swarm
    const before = swarm.blocks
    const steps = swarm.picker.steps
    swarm.pickerMs = 0
    const began = performance.now()
    swarm.loop.run(() => swarm.done || swarm.blocks >= before + blocks, limitMs)
    const wholeMs = performance.now() - began
    const counted = swarm.blocks - before
    this.#blocks += counted
    this.#steps += swarm.picker.steps - steps
    // The last of a torrent are few, and the end is another matter.
    if (counted < blocks) return
    this.#pickerMicroseconds = Math.min(this.#pickerMicroseconds, (swarm.pickerMs * 1000) / counted)
    this.#wholeMicroseconds = Math.min(this.#wholeMicroseconds, (wholeMs * 1000) / counted)
  }

  /** What was measured so far. */
  get cost(): Cost {
    return {
      peers: this.#peers,
      pieces: this.#pieces,
      reads: this.#reads,
      blocks: this.#blocks,
      steps: this.#steps / this.#blocks,
      pickerMicroseconds: this.#pickerMicroseconds,
      wholeMicroseconds: this.#wholeMicroseconds
    }
  }
}

/** Runs several swarms in turns, so that whatever else the machine does meets all of them, until each had so many blocks. */
export function measureCosts(runs: readonly CostRun[], blocks: number): Cost[] {
  for (let count = 0; count < blocks; count += windowBlocks) {
    for (const run of runs) if (!run.done) run.run()
  }
  return runs.map(({ cost }) => cost)
}

function plansOf(peerCount: number, pieceCount: number, bytesPerMs: number): PeerPlan[] {
  const random = seededRandom(1)
  // A few bitfields serve all, so that large swarms fit into memory.
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
