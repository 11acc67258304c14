import { MessageBatch } from '../lib/wire/encoder.ts'
import { messageIds } from '../lib/wire/messages.ts'
import { type Benchmark, type Measurement, perSecond } from './benchmark.ts'

const batchLength = 64

function measure(write: (batch: MessageBatch, n: number) => void): number {
  const batch = new MessageBatch()
  let taken = 0
  const rate = perSecond(() => {
    for (let n = 0; n < batchLength; n++) write(batch, n)
    taken += batch.take()?.length ?? 0
    return batchLength
  })
  if (taken === 0) throw new Error('nothing was encoded')
  return rate
}

/** Encoding of messages in batches of 64, as they are sent in one turn of the event loop. */
export const encoder: Benchmark = {
  name: 'encoder',
  run(): Measurement[] {
    const requests = measure((batch, n) => batch.range(messageIds.request, n, n * 16384, 16384))
    const haves = measure((batch, n) => batch.index(messageIds.have, n))
    return [
      { name: 'encoder, requests', value: requests, unit: 'messages/s' },
      { name: 'encoder, haves', value: haves, unit: 'messages/s' }
    ]
  }
}
