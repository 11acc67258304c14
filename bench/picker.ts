import { blockLength } from '../lib/metainfo/layout.ts'
import { Picker } from '../lib/picker/picker.ts'
import type { BlockSink } from '../lib/pieces/block-sink.ts'
import type { BlockSource } from '../lib/pieces/block-source.ts'
import { PieceTable } from '../lib/pieces/piece-table.ts'
import { type Benchmark, type Measurement, seededRandom } from './benchmark.ts'
import { layoutOfLengths } from './layout-of-lengths.ts'

const blocksPerPiece = 16
const measuredMs = 500
const warmMs = 150
/** Speed of each peer: 200 KB/s. */
const peerBytesPerMs = 200
/** Speed of the stream: 2 MB/s. */
const streamBytesPerMs = 2000

interface Setting {
  readonly pieceCount: number
  readonly peerCount: number
  /** Whether a stream reads in order, with priority, as fast as it is served. */
  readonly streams: boolean
}

/** A peer whose requests go to its swarm. */
class Source implements BlockSource {
  readonly id: number
  readonly banKey = ''
  readonly #swarm: Swarm

  constructor(swarm: Swarm, id: number) {
    this.#swarm = swarm
    this.id = id
  }

  request(piece: number, block: number): void {
    this.#swarm.request(this.id, piece, block)
  }

  cancel(): void {}

  interest(): void {}

  detach(): void {}
}

/** A picker with peers that answer requests in order, in virtual time. */
class Swarm {
  readonly #picker: Picker
  readonly #left: Uint8Array
  readonly #pieceCount: number
  readonly #blockMs: number
  readonly #streams: boolean
  /** Open requests: peer, piece and block, a ring buffer of three numbers for each. */
  readonly #ring = new Int32Array(3 << 20)
  #head = 0
  #tail = 0
  #now = 0
  #cursor = 0
  decisions = 0

  constructor({ pieceCount, peerCount, streams }: Setting) {
    const pieceLength = blocksPerPiece * blockLength
    const layout = layoutOfLengths(pieceLength, [pieceCount * pieceLength])
    const random = seededRandom(7)
    this.#pieceCount = pieceCount
    this.#blockMs = blockLength / peerBytesPerMs / peerCount
    this.#streams = streams
    this.#left = new Uint8Array(pieceCount).fill(blocksPerPiece)
    const sink: BlockSink = {
      reserve: () => Number.POSITIVE_INFINITY,
      extend: () => 0,
      giveBack: () => {},
      stream: () => false,
      abandon: () => {},
      spill: () => false,
      reclaimable: () => {}
    }
    const table = new PieceTable(layout)
    this.#picker = new Picker(table, sink, random)
    this.#picker.reselected(table.setPriorities(0, new Uint8Array(pieceCount).fill(4)), 0)
    for (let peer = 0; peer < peerCount; peer++) {
      this.#picker.addPeer(new Source(this, peer), 50)
      this.#picker.bitfield(peer, peer % 3 === 0 ? 'all' : someOf(pieceCount, random), 0)
    }
    if (streams) this.#moveWindow(true)
    for (let peer = 0; peer < peerCount; peer++) this.#picker.unchoked(peer, 0)
  }

  /** Answers the oldest request; returns false when none is open. */
  answer(): boolean {
    if (this.#head === this.#tail) return false
    const [peer = 0, piece = 0, block = 0] = this.#ring.subarray(this.#tail, this.#tail + 3)
    this.#tail = (this.#tail + 3) % this.#ring.length
    this.#now += this.#blockMs
    if (this.#picker.received(peer, piece, block, this.#now) === 'wanted') {
      const left = (this.#left[piece] ?? 0) - 1
      this.#left[piece] = left
      if (left === 0) this.#whole(piece)
    }
    this.#picker.refill(peer, this.#now)
    if (this.#picker.wakeAt <= this.#now) this.#picker.wake(this.#now)
    return true
  }

  #whole(piece: number): void {
    this.#picker.markVerified({ start: piece, end: piece + 1 }, this.#now)
    if (!this.#streams || piece !== this.#cursor) return
    while (this.#cursor < this.#pieceCount && this.#picker.table.isVerified(this.#cursor)) this.#cursor++
    this.#moveWindow(false)
  }

  #moveWindow(jumped: boolean): void {
    const pieces = { start: this.#cursor, end: Math.min(this.#pieceCount, this.#cursor + 32) }
    const window = { pieces, bytesPerMs: streamBytesPerMs, waiting: true }
    this.#picker.setWindow(1, window, jumped, this.#now)
  }

  /** Called by the picker to request a block from a peer. */
  request(peer: number, piece: number, block: number): void {
    this.decisions++
    this.#ring[this.#head] = peer
    this.#ring[this.#head + 1] = piece
    this.#ring[this.#head + 2] = block
    this.#head = (this.#head + 3) % this.#ring.length
  }
}

function someOf(pieceCount: number, random: () => number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(pieceCount / 8))
  for (let piece = 0; piece < pieceCount; piece++) {
    if (random() < 0.5) bits[piece >> 3] = (bits[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
  }
  return bits
}

function measure(setting: Setting, lastsMs: number): number {
  let decisions = 0
  let elapsedMs = 0
  // Small torrents are downloaded more than once; the setup is not measured.
  while (elapsedMs < lastsMs) {
    const swarm = new Swarm(setting)
    const before = swarm.decisions
    const start = performance.now()
    let partMs = 0
    let going = true
    while (going && elapsedMs + partMs < lastsMs) {
      for (let n = 0; n < 64 && going; n++) going = swarm.answer()
      partMs = performance.now() - start
    }
    elapsedMs += partMs
    decisions += swarm.decisions - before
  }
  return (decisions / elapsedMs) * 1000
}

/** Requests that the picker decides per second on one core, including all work for a block. */
export const picker: Benchmark = {
  name: 'picker',
  run(): Measurement[] {
    const measurements: Measurement[] = []
    for (const pieceCount of [1000, 100_000]) {
      for (const peerCount of [10, 100, 1000]) {
        for (const streams of [false, true]) {
          const setting = { pieceCount, peerCount, streams }
          measure(setting, warmMs)
          const value = measure(setting, measuredMs)
          const name = `picker, ${pieceCount} pieces, ${peerCount} peers${streams ? ', a hungry stream' : ''}`
          measurements.push({ name, value, unit: 'decisions/s' })
        }
      }
    }
    return measurements
  }
}
