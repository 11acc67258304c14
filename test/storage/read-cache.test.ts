import assert from 'node:assert/strict'
import test from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { ReadCache } from '../../lib/storage/read-cache.ts'

const page = 1 << 20

class Counting extends MemoryStorage {
  reads = 0
  fails = false

  override async read(byteOffset: number, target: Uint8Array): Promise<number> {
    this.reads++
    if (this.fails) throw new Error('unreadable')
    return super.read(byteOffset, target)
  }
}

async function cacheOf(
  pages = 2,
  length = 6 * page + 1000
): Promise<{ cache: ReadCache; storage: Counting; missing: Set<number>; data: Uint8Array }> {
  const layout = new Layout(1 << 18, [{ path: ['a'], length, offset: 0, pad: false } as never])
  const storage = new Counting()
  const data = Uint8Array.from({ length }, (_, index) => (index * 13 + (index >> 11)) & 0xff)
  const missing = new Set<number>()
  await storage.open(layout)
  await storage.write(0, [data])
  return {
    cache: new ReadCache(layout, storage, (piece) => !missing.has(piece), pages * page),
    storage,
    missing,
    data
  }
}

test('a page is read once and then served at once', async () => {
  const { cache, storage, data } = await cacheOf()
  const [first, second] = await Promise.all([cache.get(100, 50), cache.get(5000, 50)])
  assert.deepEqual(first, data.subarray(100, 150))
  assert.deepEqual(second, data.subarray(5000, 5050))
  assert.equal(storage.reads, 1)
  assert.ok(cache.get(200, 10) instanceof Uint8Array)
  cache.clear()
  assert.ok(cache.get(200, 10) instanceof Promise)
})

test('bytes across pages, of the last page, and beside missing pieces', async () => {
  const { cache, missing, data } = await cacheOf()
  assert.deepEqual(await cache.get(page - 10, 20), data.subarray(page - 10, page + 10))
  assert.deepEqual(await cache.get(6 * page + 900, 100), data.subarray(6 * page + 900))
  missing.add(8)
  assert.deepEqual(
    await cache.get(2 * page + (1 << 18), 100),
    data.subarray(2 * page + (1 << 18)).subarray(0, 100)
  )
})

test('the least recently used page goes', async () => {
  const { cache, storage } = await cacheOf(2)
  await cache.get(0, 10)
  await cache.get(page, 10)
  await cache.get(0, 10)
  await cache.get(2 * page, 10)
  assert.equal(storage.reads, 3)
  assert.ok(cache.get(0, 10) instanceof Uint8Array)
  assert.ok(cache.get(page, 10) instanceof Promise)
})

test('reads ahead, but not beyond the end', async () => {
  const { cache, storage } = await cacheOf()
  cache.prefetch(3 * page)
  cache.prefetch(3 * page + 5)
  assert.equal(storage.reads, 1)
  await cache.get(3 * page, 1)
  assert.equal(storage.reads, 1)
  cache.prefetch(7 * page)
  cache.prefetch(900 * page)
  cache.prefetch(-5)
  assert.equal(storage.reads, 1)
})

test('what storage has lost is an error for who asks, and is not kept', async () => {
  const { cache, storage, data } = await cacheOf()
  storage.fails = true
  await assert.rejects(async () => cache.get(0, 10), /unreadable/)
  cache.prefetch(page)
  await new Promise((resolve) => setImmediate(resolve))
  storage.fails = false
  assert.deepEqual(await cache.get(page, 10), data.subarray(page, page + 10))
  await assert.rejects(async () => cache.get(6 * page + 990, 100), /lost 90 bytes/)
  await cache.get(6 * page, 10)
  await assert.rejects(async () => cache.get(6 * page + 990, 100), /lost 90 bytes/)
})

test('a short page falls back to what was asked for', async () => {
  const layout = new Layout(1 << 18, [{ path: ['a'], length: 2 * page, offset: 0, pad: false } as never])
  class Short extends MemoryStorage {
    override async read(byteOffset: number, target: Uint8Array): Promise<number> {
      const there = Math.max(0, Math.min(target.length, 100 - byteOffset))
      target.fill(9, 0, there)
      return there
    }
  }
  const storage = new Short()
  await storage.open(layout)
  const cache = new ReadCache(layout, storage, () => true, 0)
  assert.deepEqual(await cache.get(50, 50), new Uint8Array(50).fill(9))
  await assert.rejects(async () => cache.get(50, 51), /lost/)
})
