// Workers that only read a file and hash its pieces.
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { answerCalls } from './helper.ts'

/** The file to hash. */
export interface BareHashTask {
  readonly file: string
  readonly pieceLength: number
  readonly length: number
  readonly threads: number
}

const chunkLength = 256 * 1024

function work({ file, pieceLength, length }: BareHashTask, next: Int32Array): void {
  const handle = openSync(file, 'r')
  const memory = Buffer.allocUnsafeSlow(Math.min(chunkLength, pieceLength))
  const count = Math.ceil(length / pieceLength)
  for (let piece = Atomics.add(next, 0, 1); piece < count; piece = Atomics.add(next, 0, 1)) {
    const hash = createHash('sha1')
    const end = Math.min(length, (piece + 1) * pieceLength)
    for (let at = piece * pieceLength; at < end; at += memory.length) {
      const got = readSync(handle, memory, 0, Math.min(memory.length, end - at), at)
      hash.update(memory.subarray(0, got))
    }
    hash.digest()
  }
  closeSync(handle)
}

if (isMainThread) {
  answerCalls({
    /** Milliseconds until everything is hashed, including the start of the workers. */
    async hash(task: BareHashTask): Promise<number> {
      const start = performance.now()
      const next = new Int32Array(new SharedArrayBuffer(4))
      const workers = Array.from(
        { length: task.threads },
        () => new Worker(fileURLToPath(import.meta.url), { workerData: { task, next } })
      )
      await Promise.all(
        workers.map(
          (worker) =>
            new Promise<void>((resolve, reject) => {
              worker.once('error', reject)
              worker.once('exit', () => resolve())
            })
        )
      )
      return performance.now() - start
    }
  })
} else {
  const { task, next }: { task: BareHashTask; next: Int32Array } = workerData
  work(task, next)
}
