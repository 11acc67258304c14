import assert from 'node:assert/strict'
import { type EventEmitter, getEventListeners, once } from 'node:events'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { FileStream } from '../../lib/stream/file-stream.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench } from './bench.ts'

const seeks = 1000
const megabyte = 1_000_000

/** Returns a generator of reproducible numbers from 0 (inclusive) to 1. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function listeners(emitter: EventEmitter): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]))
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
}

/** Reads the next bytes and pauses the stream. */
async function next(stream: FileStream): Promise<Buffer> {
  const data = once(stream, 'data')
  stream.resume()
  const [chunk] = await data
  stream.pause()
  return chunk
}

test('a thousand seeks leave nothing behind, and the last one is served', async (t) => {
  const bench = new Bench(t)
  const length = 48 * megabyte
  const sample = await bench.sample({ 'film.bin': length }, { pieceLength: 65536 })
  const seeds = await Promise.all(
    [2, 2, 1].map((rate) => bench.seeder(sample, { uploadLimit: rate * megabyte }))
  )
  const client = bench.client()
  const torrent = await client.add(sample.bytes, {
    select: 'none',
    storage: new MemoryStorage(),
    peers: seeds.map((seed) => addressOf(seed.client))
  })
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const abort = new AbortController()
  const stream = torrent.files[0]?.createReadStream({ signal: abort.signal })
  assert.ok(stream !== undefined)
  const random = generator(7)
  const outstanding = (): number => torrent.peers.reduce((sum, { requests }) => sum + requests, 0)
  const state = () => ({
    stream: listeners(stream),
    torrent: listeners(torrent),
    client: listeners(client),
    signal: getEventListeners(abort.signal, 'abort').length,
    timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  })

  const opening = await next(stream)
  assert.ok(opening.equals(sample.data.subarray(0, opening.length)))
  const before = state()
  const waitsMs: number[] = []
  let most = 0
  let early = 0
  for (let count = 0; count < seeks; count++) {
    const offset = Math.floor(random() * length)
    stream.seek(offset)
    assert.equal(stream.position, offset)
    const manner = random()
    if (manner < 0.08) {
      const asked = performance.now()
      const chunk = await next(stream)
      waitsMs.push(performance.now() - asked)
      assert.ok(chunk.equals(sample.data.subarray(offset, offset + chunk.length)), `wrong bytes at ${offset}`)
    } else if (manner < 0.5) {
      stream.resume()
      await turn()
      stream.pause()
    } else if (manner < 0.75) {
      stream.resume()
      stream.pause()
    }
    assert.equal(torrent.streams.length, 1)
    const now = outstanding()
    most = Math.max(most, now)
    if (count < seeks / 10) early = Math.max(early, now)
  }
  assert.ok(most <= 4 * early + 64, `${most} requests under way at once, ${early} in the beginning`)

  const [first, latest] = [median(waitsMs.slice(0, 20)), median(waitsMs.slice(-20))]
  assert.ok(latest < 10 * first + 100, `seeks took ${first} ms at first, and ${latest} ms in the end`)

  // The last position reads as if there had been no other seek.
  const last = length - 3 * 65536
  stream.seek(last)
  const end = await next(stream)
  assert.ok(end.equals(sample.data.subarray(last, last + end.length)))
  const after = state()
  assert.deepEqual({ ...after, timers: 0 }, { ...before, timers: 0 })
  assert.ok(after.timers <= before.timers + 2, `${before.timers} timers have become ${after.timers}`)
  assert.ok(torrent.downloaded < length, 'much was still missing in the end')
  stream.destroy()
  await until('all streams and requests to end', () => torrent.streams.length + outstanding(), { is: 0 })
  assert.deepEqual(getEventListeners(abort.signal, 'abort').length, 0)
  assert.deepEqual(warnings, [])
  t.diagnostic(`a seek took ${first.toFixed(1)} ms at first, ${latest.toFixed(1)} ms in the end`)
  t.diagnostic(
    `${torrent.received} bytes for ${seeks} seeks, at most ${early} and then ${most} requests at once`
  )
})
