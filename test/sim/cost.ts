import { seededRandom } from './event-loop.ts'
import { type PeerPlan, SimSwarm } from './swarm.ts'

/** Bytes per millisecond of all peers together. */
const swarmBytesPerMs = 200_000

/** Processor time that the picker takes for each block in a swarm of some size, in steady state. */
export interface Cost {
  readonly peers: number
  readonly pieces: number
  readonly reads: boolean
  readonly blocks: number
  readonly microsecondsPerBlock: number
}

/** Runs a swarm, a third of it seeds and the rest with part of the pieces, until enough blocks came. */
export function measureCost(peerCount: number, pieceCount: number, reads: boolean, blocks = 20_000): Cost {
  const random = seededRandom(1)
  const peers: PeerPlan[] = []
  // A few bitfields serve all, so that large swarms fit into memory.
  const bitfields = Array.from({ length: 20 }, () => {
    const bits = new Uint8Array(Math.ceil(pieceCount / 8))
    for (let piece = 0; piece < pieceCount; piece++) {
      if (random() < 0.6) bits[piece >> 3] = (bits[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
    }
    return bits
  })
  for (let index = 0; index < peerCount; index++) {
    peers.push({
      bytesPerMs: (swarmBytesPerMs / peerCount) * (0.2 + 1.6 * random()),
      latencyMs: 20 + 180 * random(),
      pieces: index % 3 === 0 ? 'all' : (bitfields[index % bitfields.length] ?? 'all')
    })
  }
  const swarm = new SimSwarm({
    name: 'cost',
    pieceLength: 512 << 10,
    pieceCount,
    peers,
    readers: reads ? [{ startsAtMs: 0, bytesPerMs: 5000, start: 0, seeks: [] }] : [],
    limitMs: 3_600_000
  })
  // What begins once is not counted.
  swarm.loop.run(() => swarm.done || swarm.blocks > peerCount, 3_600_000)
  swarm.measures = true
  const before = swarm.blocks
  swarm.loop.run(() => swarm.done || swarm.blocks >= before + blocks, 3_600_000)
  const counted = swarm.blocks - before
  return {
    peers: peerCount,
    pieces: pieceCount,
    reads,
    blocks: counted,
    microsecondsPerBlock: Math.round((swarm.pickerMs * 10_000) / counted) / 10
  }
}
