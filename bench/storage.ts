import path from 'node:path'
import { FileStorage } from '../lib/storage/file-storage.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { layoutOfLengths } from './layout-of-lengths.ts'

const pieceLength = 1 << 20
const length = 256 << 20
const parallel = 4

/** Returns the MB/s of a step for each offset, several at a time; the best of two rounds. */
async function measure(
  stepLength: number,
  step: (offset: number, memory: Uint8Array) => Promise<unknown>
): Promise<number> {
  let best = 0
  for (let round = 0; round < 2; round++) {
    let next = 0
    const start = performance.now()
    const worker = async (): Promise<void> => {
      const memory = new Uint8Array(stepLength).fill(round + 1)
      for (let at = next; at < length; at = next) {
        next += stepLength
        await step(at, memory)
      }
    }
    await Promise.all(Array.from({ length: parallel }, worker))
    best = Math.max(best, length / 1e6 / ((performance.now() - start) / 1000))
  }
  return best
}

/** Writing whole pieces and reading 64 KiB at a time, as uploads do, in a torrent of one file and of many. */
export const storage: Benchmark = {
  name: 'storage',
  async run(folder): Promise<Measurement[]> {
    const measurements: Measurement[] = []
    for (const fileCount of [1, 1024]) {
      const layout = layoutOfLengths(
        pieceLength,
        Array.from({ length: fileCount }, () => length / fileCount)
      )
      const store = new FileStorage({ path: folder, partsPath: path.join(folder, 'parts') })
      await store.open(
        layout,
        layout.files.map(() => true)
      )
      const writing = await measure(pieceLength, (at, memory) => store.write(at, [memory]))
      const reading = await measure(65536, (at, memory) => store.read(at, memory))
      await store.delete()
      const kind = fileCount === 1 ? 'one file' : `${fileCount} files`
      measurements.push({ name: `storage, write pieces to ${kind}`, value: writing, unit: 'MB/s' })
      measurements.push({ name: `storage, read 64 KiB of ${kind}`, value: reading, unit: 'MB/s' })
    }
    return measurements
  }
}
