// Worker thread of a HashPool: receives batches, reads and hashes their files, and returns only digests.
import { parentPort } from 'node:worker_threads'
import { BatchHasher } from './batch-hasher.ts'
import type { HashRequest } from './hash-job.ts'

const hasher = new BatchHasher()
parentPort?.postMessage('ready')

parentPort?.on('message', (request: HashRequest) => {
  if ('finished' in request) {
    hasher.close(request.finished)
    return
  }
  const result = hasher.hash(request)
  parentPort?.postMessage(result, [result.digests.buffer as ArrayBuffer])
})
