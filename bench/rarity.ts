import { RarityOrder } from '../lib/picker/rarity-order.ts'
import { type Benchmark, type Measurement, perSecond, seededRandom } from './benchmark.ts'

function measure(pieceCount: number): number {
  const random = seededRandom(3)
  const order = new RarityOrder({ pieceCount, priority: () => 4 }, random)
  for (let piece = 0; piece < pieceCount; piece++) order.add(piece)
  for (let piece = 0; piece < pieceCount; piece++) {
    for (let count = Math.floor(random() * 40); count > 0; count--) order.increment(piece)
  }
  const steps = Uint32Array.from({ length: 4096 }, () => Math.floor(random() * pieceCount))
  let up = true
  return perSecond(() => {
    // Reads after each change, as the picker does; two rounds cancel each other out.
    for (const piece of steps) {
      if (up) order.increment(piece)
      else order.decrement(piece)
      order.find(() => true, undefined)
    }
    up = !up
    return steps.length
  })
}

/** Changes of one piece's availability, each followed by a query for the rarest piece. */
export const rarity: Benchmark = {
  name: 'rarity',
  run: (): Measurement[] =>
    [1000, 100_000].map((pieceCount) => ({
      name: `rarity order, ${pieceCount} pieces`,
      value: measure(pieceCount),
      unit: 'moves/s'
    }))
}
