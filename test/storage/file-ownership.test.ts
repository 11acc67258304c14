import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileStorage } from '../../lib/storage/file-storage.ts'
import { nodeFs, openFlags, type StorageFs } from '../../lib/storage/storage-fs.ts'
import { hasBit } from '../../lib/util/bits.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { until } from '../support/until.ts'
import { layoutOf, pattern } from './contract.ts'

const layout = layoutOf(16384, [
  ['t/a', 20_000],
  ['t/b', 20_000],
  ['t/c', 20_000]
])

/** Runs a test with a data folder that does not exist yet. */
function ownershipTest(title: string, body: (root: string) => Promise<void>): void {
  test(title, async () => {
    const base = mkdtempSync(join(tmpdir(), 'piecewise-owned-'))
    try {
      await body(join(base, 'data'))
    } finally {
      rmSync(base, { recursive: true, force: true })
    }
  })
}

function put(root: string, name: string, bytes: Uint8Array): void {
  mkdirSync(join(root, 't'), { recursive: true })
  writeFileSync(join(root, name), bytes)
}

ownershipTest(
  'no file is made or written before the record names it, and all wanted ones are named at once',
  async (root) => {
    const saved: (readonly boolean[])[] = []
    const gate = deferred<void>()
    const opened: string[] = []
    const fs: StorageFs = {
      ...nodeFs,
      open: (path, flags, mode) => {
        if (path.startsWith(root) && flags !== openFlags.folder) opened.push(path)
        return nodeFs.open(path, flags, mode)
      }
    }
    const storage = new FileStorage({
      path: root,
      partsPath: join(root, '../parts'),
      fs,
      onOwning: async () => {
        assert.ok(existsSync(root), 'storage makes the data folder')
        // A record is made from the storage's answers.
        await storage.sync()
        await storage.stats()
        const bits = storage.ownership?.bits(true) ?? new Uint8Array(0)
        saved.push(layout.files.map((_, index) => hasBit(bits, index)))
        await gate.promise
      }
    })
    await storage.open(layout, [true, true, false])
    const writes = [storage.write(0, [pattern(0, 30_000)]), storage.write(30_000, [pattern(30_000, 30_000)])]
    await until('the first save', () => saved.length)
    assert.deepEqual(saved, [[true, true, false]])
    assert.deepEqual(opened, [])
    gate.resolve()
    await Promise.all(writes)
    await storage.write(0, [pattern(0, 100)])
    assert.equal(saved.length, 1, 'once for all of them')
    assert.deepEqual(storage.created.sort(), ['./', 't/', 't/a', 't/b'])
    // The kept part of the third file moves once it is named.
    await storage.select([true, true, true])
    assert.deepEqual(saved.slice(1), [[true, true, true]])
    assert.deepEqual(new Uint8Array(readFileSync(join(root, 't/c'))), pattern(40_000, 20_000))
    await storage.close()
  }
)

ownershipTest('a kept file is not changed, unless it already has the same bytes', async (root) => {
  put(root, 't/a', pattern(0, 20_000))
  put(root, 't/b', new Uint8Array(20_000).fill(1))
  const storage = new FileStorage({ path: root, partsPath: join(root, '../parts') })
  await storage.open(layout, [true, true, true])
  storage.ownership?.protect([0, 1])
  await assert.rejects(storage.write(0, [pattern(0, 60_000)]), { code: 'ERR_STORAGE_EXISTS' })
  assert.equal(existsSync(join(root, 't/c')), false, 'a refused write is refused as a whole')
  assert.ok(readFileSync(join(root, 't/b')).every((byte) => byte === 1))
  await storage.write(0, [pattern(0, 20_000)])
  await assert.rejects(storage.write(20_000, [pattern(20_000, 10)]), { code: 'ERR_STORAGE_EXISTS' })
  rmSync(join(root, 't/b'))
  await storage.write(20_000, [pattern(20_000, 20_000)])
  assert.deepEqual(new Uint8Array(readFileSync(join(root, 't/b'))), pattern(20_000, 20_000))
  await storage.close()
})

ownershipTest('a kept file that ends within the bytes is compared as far as it goes', async (root) => {
  put(root, 't/a', pattern(0, 5000))
  put(root, 't/b', pattern(20_000, 5000).fill(7, 4999))
  const storage = new FileStorage({ path: root, partsPath: join(root, '../parts') })
  await storage.open(layout, [true, true, true])
  storage.ownership?.protect([0, 1])
  await assert.rejects(
    storage.write(10_000, [pattern(10_000, 5000)]),
    { code: 'ERR_STORAGE_EXISTS' },
    'behind its end'
  )
  await storage.write(0, [pattern(0, 16_384)])
  await assert.rejects(storage.write(20_000, [pattern(20_000, 10_000)]), { code: 'ERR_STORAGE_EXISTS' })
  await storage.close()
})

ownershipTest('a file that replaced a missing one is kept, too', async (root) => {
  const storage = new FileStorage({ path: root, partsPath: join(root, '../parts') })
  await storage.open(layout, [true, true, true])
  storage.ownership?.protect([])
  put(root, 't/a', new Uint8Array(10).fill(1))
  put(root, 't/b', new Uint8Array(0))
  await assert.rejects(storage.write(0, [pattern(0, 100)]), { code: 'ERR_STORAGE_EXISTS' })
  await storage.write(20_000, [pattern(20_000, 100)])
  assert.equal(readFileSync(join(root, 't/a')).length, 10)
  storage.ownership?.acceptAll()
  await storage.write(0, [pattern(0, 100)])
  assert.equal(readFileSync(join(root, 't/a')).length, 100)
  await storage.close()
})
