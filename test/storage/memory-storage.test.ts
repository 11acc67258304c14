import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { layoutOf, pattern, readBytes, testStorage } from './contract.ts'

testStorage('memory', { make: () => new MemoryStorage() })

test('memory is allocated page by page and released', async () => {
  const storage = new MemoryStorage()
  await storage.open(layoutOf(1 << 20, [['big', 2 ** 40]]))
  assert.equal(storage.allocated, 0)
  await storage.write(2 ** 39 - 5, [pattern(0, 10)])
  assert.equal(storage.allocated, 2 << 20)
  assert.deepEqual(await readBytes(storage, 2 ** 39 - 5, 10), pattern(0, 10))
  await storage.close()
  assert.equal(storage.allocated, 0)
})
