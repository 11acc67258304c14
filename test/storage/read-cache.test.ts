import assert from 'node:assert/strict'
import test from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { ReadCache } from '../../lib/storage/read-cache.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'

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
  length = 6 * page + 1000,
  budget = new MemoryBudget(64 * page)
): Promise<{ cache: ReadCache; storage: Counting; missing: Set<number>; data: Uint8Array }> {
  const layout = new Layout(1 << 18, [{ path: ['a'], length, offset: 0, pad: false } as never])
  const storage = new Counting()
  const data = Uint8Array.from({ length }, (_, index) => (index * 13 + (index >> 11)) & 0xff)
  const missing = new Set<number>()
  await storage.open(layout)
  await storage.write(0, [data])
  return {
    cache: new ReadCache(layout, storage, (piece) => !missing.has(piece), pages * page, budget),
    storage,
    missing,
    data
  }
}

test('a page is read once and then served at once', async () => {
  const { cache, storage, data } = await cacheOf()
  const [first, second] = await Promise.all([cache.get(100, 50), cache.get(5000, 50)])
  assert.deepEqual(new Uint8Array(first), data.slice(100, 150))
  assert.deepEqual(new Uint8Array(second), data.slice(5000, 5050))
  assert.equal(storage.reads, 1)
  assert.ok(cache.get(200, 10) instanceof Uint8Array)
  cache.clear()
  assert.ok(cache.get(200, 10) instanceof Promise)
})

test('bytes across pages, of the last page, and beside missing pieces', async () => {
  const { cache, missing, data } = await cacheOf()
  assert.deepEqual(new Uint8Array(await cache.get(page - 10, 20)), data.slice(page - 10, page + 10))
  assert.deepEqual(new Uint8Array(await cache.get(6 * page + 900, 100)), data.slice(6 * page + 900))
  missing.add(8)
  assert.deepEqual(
    await cache.get(2 * page + (1 << 18), 100),
    data.subarray(2 * page + (1 << 18)).subarray(0, 100)
  )
})

/** Gets bytes and releases them. Returns whether they were cached. */
async function visit(cache: ReadCache, byteOffset: number): Promise<boolean> {
  const got = cache.get(byteOffset, 10)
  const bytes = await got
  const held = cache.pageOf(bytes)
  if (held !== undefined) cache.release(held, 1)
  return got === bytes
}

test('the least recently used page is evicted', async () => {
  const { cache, storage } = await cacheOf(2)
  for (const offset of [0, page, 0, 2 * page]) await visit(cache, offset)
  assert.equal(storage.reads, 3)
  assert.equal(await visit(cache, 0), true)
  assert.equal(await visit(cache, page), false)
})

test('bytes stay unchanged until they are released, however many others are requested', async () => {
  const budget = new MemoryBudget(8 * page)
  const { cache, data } = await cacheOf(2, 6 * page, budget)
  const held = await Promise.all([0, 1, 2, 3, 4, 5].map((index) => cache.get(index * page, 100)))
  for (const [index, bytes] of held.entries())
    assert.deepEqual(new Uint8Array(bytes), data.slice(index * page, index * page + 100))
  assert.equal(budget.used, 4 * page, 'half of the budget and no more')
  for (const bytes of held) {
    const own = cache.pageOf(bytes)
    if (own !== undefined) cache.release(own, 1)
  }
  cache.tick()
  assert.equal(budget.used, 2 * page, 'memory above the limit of the cache is released')
  cache.close()
  assert.equal(budget.used, 0)
})

test('memory that others need is released, except for bytes in use', async () => {
  const budget = new MemoryBudget(8 * page, 0)
  const { cache, data } = await cacheOf(4, 6 * page, budget)
  const bytes = await cache.get(0, 100)
  for (const index of [1, 2, 3]) await visit(cache, index * page)
  assert.equal(budget.used, 4 * page)
  const account = budget.open({ reclaim: () => false, onFreed: () => {} })
  assert.ok(account.reserve(7 * page))
  assert.equal(account.reserve(page), false)
  assert.deepEqual(new Uint8Array(bytes), data.slice(0, 100))
  assert.equal(await visit(cache, page), false, 'read as it is asked for')
  account.release(7 * page)
  const held = cache.pageOf(bytes)
  assert.ok(held)
  assert.equal(budget.used, page)
  cache.release(held, 1)
  assert.ok(account.reserve(8 * page), 'a page without a holder is released too')
})

test('unused pages are dropped after a while', async () => {
  const budget = new MemoryBudget(64 * page)
  const { cache } = await cacheOf(4, 6 * page, budget)
  await visit(cache, 0)
  for (let second = 0; second < 20; second++) cache.tick()
  await visit(cache, page)
  for (let second = 0; second < 20; second++) cache.tick()
  assert.equal(budget.used, page)
  assert.equal(await visit(cache, page), true)
  for (let second = 0; second < 40; second++) cache.tick()
  assert.equal(budget.used, 0)
})

test('few readers take less memory than many', async () => {
  const budget = new MemoryBudget(200 * page)
  const { cache } = await cacheOf(40, 40 * page, budget)
  const visitAll = async (): Promise<number> => {
    for (let index = 0; index < 40; index++) await visit(cache, index * page)
    return budget.used / page
  }
  cache.setReaders(1)
  const ofOne = await visitAll()
  cache.setReaders(10)
  const ofTen = await visitAll()
  assert.ok(ofTen >= ofOne + 9, `${ofOne} and ${ofTen} pages`)
  cache.setReaders(1)
  assert.equal(budget.used / page, ofOne)
})

test('readahead is shorter with many readers, so that early pages are still cached when requested', async () => {
  const { cache } = await cacheOf(24, 40 * page, new MemoryBudget(200 * page))
  const ahead = (readers: number): number => {
    cache.setReaders(readers)
    return cache.aheadBytes
  }
  assert.ok(ahead(1) > 2 * page)
  assert.equal(ahead(20), page)
})

test('the memory of an evicted page serves the next one', async () => {
  const budget = new MemoryBudget(8 * page)
  const { cache } = await cacheOf(2, 6 * page, budget)
  const memories = new Set<ArrayBufferLike>()
  for (let round = 0; round < 5; round++) {
    // Three at a time, where two are kept.
    const held = await Promise.all([0, 1, 2].map((n) => cache.get(((3 * round + n) % 6) * page, 100)))
    for (const bytes of held) {
      memories.add(bytes.buffer)
      const own = cache.pageOf(bytes)
      assert.ok(own)
      cache.release(own, 1)
    }
  }
  assert.equal(memories.size, 3)
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

test('bytes that storage has lost are an error for the caller, and are not cached', async () => {
  const { cache, storage, data } = await cacheOf()
  storage.fails = true
  await assert.rejects(async () => cache.get(0, 10), /unreadable/)
  cache.prefetch(page)
  await new Promise((resolve) => setImmediate(resolve))
  storage.fails = false
  assert.deepEqual(new Uint8Array(await cache.get(page, 10)), data.slice(page, page + 10))
  await assert.rejects(async () => cache.get(6 * page + 990, 100), /lost 90 bytes/)
  await cache.get(6 * page, 10)
  await assert.rejects(async () => cache.get(6 * page + 990, 100), /lost 90 bytes/)
})

test('a short page falls back to the requested range', async () => {
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
  const cache = new ReadCache(layout, storage, () => true, 0, new MemoryBudget(64 * page))
  assert.deepEqual(await cache.get(50, 50), new Uint8Array(50).fill(9))
  await assert.rejects(async () => cache.get(50, 51), /lost/)
})
