import { availableParallelism } from 'node:os'
import path from 'node:path'
import { HashPool } from '../lib/hash/hash-pool.ts'
import { hashOf, RunningHash } from '../lib/hash/running-hash.ts'
import { type Benchmark, type Measurement, perSecond } from './benchmark.ts'
import { writeSample } from './sample.ts'

const pieceLength = 1 << 20
const fileLength = 256 << 20
const blockLength = 16384

async function onPool(file: string): Promise<number> {
  const pool = new HashPool()
  const jobs = Array.from({ length: fileLength / pieceLength }, (_, index) => ({
    index,
    segments: [{ path: file, fileOffset: index * pieceLength, length: pieceLength }]
  }))
  let best = 0
  try {
    // The first round also starts the threads.
    for (let round = 0; round < 3; round++) {
      const start = performance.now()
      await pool.hash(jobs, { onResult: () => {} })
      best = Math.max(best, fileLength / 1e6 / ((performance.now() - start) / 1000))
    }
  } finally {
    await pool.close()
  }
  return best
}

/** SHA-1 of pieces of 1 MiB: block by block, as a whole, and from a file in the worker pool. */
export const hashing: Benchmark = {
  name: 'hashing',
  async run(folder): Promise<Measurement[]> {
    const piece = Buffer.alloc(pieceLength, 0x5a)
    const running = perSecond(() => {
      const hash = new RunningHash('sha1')
      for (let at = 0; at < pieceLength; at += blockLength) hash.update(piece.subarray(at, at + blockLength))
      hash.digest()
      return pieceLength / 1e6
    })
    const whole = perSecond(() => {
      hashOf('sha1', piece)
      return pieceLength / 1e6
    })
    const file = path.join(folder, 'hash.bin')
    writeSample(file, fileLength)
    return [
      { name: 'hashing, blocks of a piece in turn', value: running, unit: 'MB/s' },
      { name: 'hashing, a piece as a whole', value: whole, unit: 'MB/s' },
      { name: `hashing, a file, ${availableParallelism()} threads`, value: await onPool(file), unit: 'MB/s' }
    ]
  }
}
