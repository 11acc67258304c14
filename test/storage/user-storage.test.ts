import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { Storage } from '../../lib/storage/storage.ts'
import { UserStorage } from '../../lib/storage/user-storage.ts'
import { collectUncaught } from '../support/uncaught.ts'
import { layoutOf } from './contract.ts'

/** A storage in memory with one method of the user's. */
function withMethod(name: string, method: unknown): UserStorage {
  return new UserStorage(Object.assign(new MemoryStorage(), { [name]: method }))
}

const calls: Readonly<Record<string, (storage: Storage) => unknown>> = {
  open: (storage) => storage.open(layoutOf(16384, [['a', 10]]), [true]),
  select: (storage) => storage.select?.([true]),
  read: (storage) => storage.read(0, new Uint8Array(10)),
  write: (storage) => storage.write(0, [new Uint8Array(10)]),
  sync: (storage) => storage.sync(),
  close: (storage) => storage.close(),
  delete: (storage) => storage.delete(),
  stats: (storage) => storage.stats?.()
}
for (const [name, call] of Object.entries(calls)) {
  const code = name === 'read' || name === 'stats' ? 'ERR_STORAGE_READ' : 'ERR_STORAGE_WRITE'
  test(`'${name}' that throws, or rejects with any value, rejects with a TorrentError`, async () => {
    const fault = new Error('mine')
    const throws = withMethod(name, () => {
      throw fault
    })
    await assert.rejects(async () => call(throws), { name: 'TorrentError', code, cause: fault })
    const rejects = withMethod(name, () => Promise.reject('a string'))
    await assert.rejects(async () => call(rejects), { name: 'TorrentError', code, cause: 'a string' })
    const full = withMethod(name, async () => Promise.reject(Object.assign(new Error(), { code: 'ENOSPC' })))
    await assert.rejects(async () => call(full), { name: 'TorrentError', code: 'ERR_STORAGE_FULL' })
  })
}

for (const count of [undefined, -1, 11, 1.5, Number.NaN, '10', {}, null, true]) {
  test(`a read that returns ${JSON.stringify(count)} is a fault`, async () => {
    const storage = withMethod('read', async () => count)
    await assert.rejects(storage.read(0, new Uint8Array(10)), { code: 'ERR_STORAGE_READ' })
  })
}

for (const stats of [undefined, null, 7, {}, { files: 'x' }]) {
  test(`stats that are ${JSON.stringify(stats)} are a fault`, async () => {
    await assert.rejects(async () => withMethod('stats', () => stats).stats?.(), { code: 'ERR_STORAGE_READ' })
  })
}

for (const segments of [undefined, [], {}, [{ length: 9 }], [{ length: 10 }, { length: 1 }], [null]]) {
  test(`segments that are ${JSON.stringify(segments)} for 10 bytes are not hashed`, () => {
    const storage = withMethod('segments', () => segments)
    assert.throws(() => storage.segments?.(0, 10), { code: 'ERR_STORAGE_READ' })
  })
}

test('segments that cover all bytes are hashed', () => {
  const segments = [
    { path: undefined, fileOffset: 0, length: 4 },
    { path: '/a', fileOffset: 4, length: 6 }
  ]
  assert.deepEqual(withMethod('segments', () => segments).segments?.(0, 10), segments)
})

test('answers may be synchronous', async () => {
  const storage = withMethod('read', () => 3)
  assert.equal(await storage.read(0, new Uint8Array(10)), 3)
  await withMethod('sync', () => undefined).sync()
})

test('the reason of an abort is passed on unchanged', async () => {
  const signal = AbortSignal.abort('my reason')
  const read = withMethod('read', async (_at: number, _into: Uint8Array, by: AbortSignal) =>
    by.throwIfAborted()
  )
  await assert.rejects(read.read(0, new Uint8Array(1), signal), (reason) => reason === 'my reason')
})

test('a storage that does not report paths has files at their default paths', async (t) => {
  const uncaught = collectUncaught(t)
  const thrown = new Error('mine')
  const broken = withMethod('inPlace', () => {
    throw thrown
  })
  assert.equal(broken.inPlace?.(0), true)
  assert.equal(withMethod('inPlace', () => false).inPlace?.(0), false)
  assert.equal(withMethod('inPlace', () => undefined).inPlace?.(0), true)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(uncaught, [thrown])
})

test('methods that it lacks are absent, and created files are a list of paths', () => {
  const bare = new UserStorage(new MemoryStorage())
  assert.equal(bare.segments, undefined)
  assert.equal(bare.stats, undefined)
  assert.deepEqual(bare.created, [])
  assert.deepEqual(withMethod('created', ['a', 1, 'b']).created, ['a', 'b'])
  assert.deepEqual(withMethod('created', 'a').created, [])
})
