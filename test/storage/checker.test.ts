import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { HashPool } from '../../lib/hash/hash-pool.ts'
import { Checker, type CheckerOptions } from '../../lib/storage/checker.ts'
import { FileStorage } from '../../lib/storage/file-storage.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { Storage } from '../../lib/storage/storage.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { layoutOf, pattern } from './contract.ts'

const pieceLength = 65536
const layout = layoutOf(pieceLength, [
  ['t/a', 1_000_000],
  ['t/p', 48576, 'pad'],
  ['t/b', 8_000_000],
  ['t/c', 70_000]
])
const everything = { start: 0, end: layout.pieceCount }

function bytesOf(piece: number): Uint8Array {
  const start = layout.pieceOffset(piece)
  const bytes = pattern(start, layout.pieceSize(piece))
  return bytes.fill(0, Math.max(0, 1_000_000 - start), Math.max(0, 1_048_576 - start))
}

const digests = Array.from({ length: layout.pieceCount }, (_, piece) => {
  return new Uint8Array(createHash('sha1').update(bytesOf(piece)).digest())
})
const expected = (piece: number): Uint8Array | undefined => digests[piece]

interface Rig {
  readonly storage: Storage
  readonly root: string
  readonly make: (options?: Partial<CheckerOptions>) => Checker
}

/** Runs a test with a full storage and its checker, on threads when `kind` is `files`. */
function checkTest(kind: 'files' | 'memory', title: string, body: (rig: Rig) => Promise<void>): void {
  test(`${kind}: ${title}`, async () => {
    const root = mkdtempSync(join(tmpdir(), 'piecewise-checker-'))
    const storage =
      kind === 'memory'
        ? new MemoryStorage()
        : new FileStorage({ path: root, partsPath: join(root, 'parts') })
    const pool = new HashPool(2)
    const checkers: Checker[] = []
    try {
      await storage.open(
        layout,
        layout.files.map((_, index) => index !== 3)
      )
      await storage.write(0, [pattern(0, layout.length)])
      const make: Rig['make'] = (options) => {
        const checker = new Checker({
          storage,
          layout,
          expected,
          ...(kind === 'files' ? { pool } : {}),
          ...options
        })
        checkers.push(checker)
        return checker
      }
      await body({ storage, root, make })
    } finally {
      await Promise.all(checkers.map((checker) => checker.close()))
      await storage.close()
      await pool.close()
      rmSync(root, { recursive: true, force: true })
    }
  })
}

for (const kind of ['files', 'memory'] as const) {
  checkTest(kind, 'good and bad pieces are told apart, each reported once', async ({ storage, make }) => {
    await storage.write(5 * pieceLength + 17, [new Uint8Array(3)])
    await storage.write(layout.length - 1, [new Uint8Array([(pattern(layout.length - 1, 1)[0] ?? 0) ^ 1])])
    const results = new Map<number, boolean>()
    const checker = make()
    const summary = await checker.check(everything, {
      onResult: (piece, ok) => {
        assert.equal(results.has(piece), false)
        results.set(piece, ok)
      }
    })
    assert.deepEqual(summary, { good: layout.pieceCount - 2, bad: 2 })
    assert.deepEqual(
      [...results]
        .filter(([, ok]) => !ok)
        .map(([piece]) => piece)
        .sort((a, b) => a - b),
      [5, layout.pieceCount - 1]
    )
    assert.deepEqual(await checker.check([]), { good: 0, bad: 0 })
    assert.deepEqual(await checker.check([3, 3, 4]), { good: 2, bad: 0 })
  })

  checkTest(kind, 'a single piece is checked at once during a full check', async ({ make }) => {
    const checker = make()
    const order: number[] = []
    const all = checker.check(everything, { onResult: (piece) => order.push(piece) })
    assert.deepEqual(await Promise.all([checker.checkNow(100), checker.checkNow(100)]), [true, true])
    assert.deepEqual(await all, { good: layout.pieceCount, bad: 0 })
    assert.ok(order.indexOf(100) < 100)
  })

  checkTest(kind, 'an aborted check ends, another continues', async ({ make }) => {
    const checker = make()
    const controller = new AbortController()
    const reason = new Error('enough')
    const first = checker.check(everything, {
      signal: controller.signal,
      onResult: () => controller.abort(reason)
    })
    const second = checker.check({ start: 10, end: 20 })
    await assert.rejects(first, reason)
    assert.deepEqual(await second, { good: 10, bad: 0 })
    await assert.rejects(checker.check([1], { signal: AbortSignal.abort(reason) }), reason)
    await assert.rejects(checker.checkNow(1, AbortSignal.abort(reason)), reason)
  })

  checkTest(kind, 'close ends checks and waits for reads', async ({ make }) => {
    const checker = make()
    const all = checker.check(everything)
    const now = checker.checkNow(3)
    const closed = { code: 'ERR_STORAGE_CLOSED' }
    await Promise.all([checker.close(), assert.rejects(all, closed), now.catch(() => {})])
    await assert.rejects(checker.check([1]), closed)
    await assert.rejects(checker.checkNow(1), closed)
  })

  checkTest(
    kind,
    'a storage closed meanwhile fails the check and reports no bad piece',
    async ({ storage, make }) => {
      const checker = make()
      await storage.close()
      const all = checker.check(everything, { onResult: () => assert.fail('no piece is known') })
      await assert.rejects(all, { code: 'ERR_STORAGE_CLOSED' })
      await assert.rejects(checker.checkNow(1), { code: 'ERR_STORAGE_CLOSED' })
    }
  )

  checkTest(kind, 'a listener that throws fails its own check alone', async ({ make }) => {
    const checker = make()
    const fault = new Error('listener')
    const first = checker.check(everything, {
      onResult: () => {
        throw fault
      }
    })
    const second = checker.check([1, 2])
    await assert.rejects(first, fault)
    assert.deepEqual(await second, { good: 2, bad: 0 })
  })
}

checkTest(
  'files',
  'missing and short files are bad, unwanted ones are found where they are kept',
  async ({ root, storage, make }) => {
    await storage.close()
    rmSync(join(root, 't/a'))
    truncateSync(join(root, 't/b'), 4_000_000)
    const again = new FileStorage({ path: root, partsPath: join(root, 'parts') })
    await again.open(layout, [true, true, true, false])
    const good: number[] = []
    await make({ storage: again }).check(everything, { onResult: (piece, ok) => ok && good.push(piece) })
    const last = layout.pieceCount - 1
    const end = Math.floor((1_048_576 + 4_000_000) / pieceLength)
    assert.deepEqual(
      good.sort((a, b) => a - b),
      [...Array.from({ length: end - 16 }, (_, index) => 16 + index), last]
    )
    await again.close()
  }
)

checkTest('files', 'without threads the check continues on this thread', async ({ make }) => {
  const pool = new HashPool(1)
  await pool.close()
  assert.deepEqual(await make({ pool }).check(everything), { good: layout.pieceCount, bad: 0 })
})

checkTest(
  'files',
  'pieces that move to another file meanwhile are read from there',
  async ({ storage, make }) => {
    const checker = make()
    const seen: boolean[] = []
    const [summary] = await Promise.all([
      checker.check(everything, { onResult: (_, ok) => seen.push(ok) }),
      storage.select?.([true, true, true, true])
    ])
    assert.deepEqual(summary, { good: layout.pieceCount, bad: 0 })
  }
)

checkTest(
  'files',
  'a folder or pipe in place of a file makes its pieces bad',
  async ({ storage, root, make }) => {
    await storage.close()
    rmSync(join(root, 't'), { recursive: true })
    writeFileSync(join(root, 't'), 'a file')
    const again = new FileStorage({ path: root, partsPath: join(root, 'parts') })
    await again.open(layout, [false, false, false, false])
    const last = layout.pieceCount - 1
    assert.deepEqual(await make({ storage: again }).check([0, last]), { good: 1, bad: 1 })
    await again.close()
  }
)

checkTest(
  'files',
  'a file that a link replaced is checked where the storage has it',
  async ({ storage, root, make }) => {
    renameSync(join(root, 't/a'), join(root, 'moved'))
    symlinkSync(join(root, 'moved'), join(root, 't/a'))
    // The storage still has the file open that it wrote.
    assert.deepEqual(await make().check([0]), { good: 1, bad: 0 })
    await storage.close()
    const again = new FileStorage({ path: root, partsPath: join(root, 'parts') })
    rmSync(join(root, 't/a'))
    renameSync(join(root, 'moved'), join(root, 't/a'))
    await again.open(
      layout,
      layout.files.map((_, index) => index !== 3)
    )
    renameSync(join(root, 't/a'), join(root, 'moved'))
    symlinkSync(join(root, 'moved'), join(root, 't/a'))
    const faults: unknown[] = []
    const summary = await make({ storage: again }).check([0], {
      onResult: (_piece, _ok, error) => faults.push((error as TorrentError | undefined)?.code)
    })
    assert.deepEqual([summary, faults], [{ good: 0, bad: 1 }, ['ERR_STORAGE_PATH']])
    await again.close()
  }
)

checkTest('memory', 'more important checks go first, and a limit holds', async ({ make }) => {
  const checker = make({ bytesPerSecond: 20 * pieceLength })
  const order: number[] = []
  const onResult = (piece: number): void => void order.push(piece)
  const started = performance.now()
  await Promise.all([
    checker.check({ start: 0, end: 6 }, { onResult }),
    checker.check([40, 41], { onResult, priority: 2 }),
    checker.check([30, 31], { onResult, priority: 1 })
  ])
  assert.deepEqual(order, [40, 41, 30, 31, 0, 1, 2, 3, 4, 5])
  assert.ok(performance.now() - started > 150)
})

checkTest('memory', 'the event loop runs during a long check', async ({ make }) => {
  // Enough for many turns of the event loop on any machine: hashing takes some hundred milliseconds.
  const count = 256
  const long = layoutOf(1 << 20, [['t/long', count << 20]])
  const storage = new MemoryStorage()
  await storage.open(long)
  const chunk = new Uint8Array(1 << 20)
  for (let piece = 0; piece < count; piece++) await storage.write(piece << 20, [chunk])
  const digest = createHash('sha1').update(chunk).digest()
  const checker = make({ storage, layout: long, expected: () => digest })
  let turns = 0
  let running = true
  const tick = (): void => {
    turns++
    if (running) setImmediate(tick)
  }
  setImmediate(tick)
  assert.deepEqual(await checker.check({ start: 0, end: count }), { good: count, bad: 0 })
  running = false
  await storage.close()
  assert.ok(turns > 2, `${turns} turns`)
})

checkTest('memory', 'missing pieces are bad, and invalid arguments are named', async ({ make }) => {
  const storage = new MemoryStorage()
  await storage.open(layout)
  const checker = make({ storage })
  assert.deepEqual(await checker.check(everything), { good: 0, bad: layout.pieceCount })
  assert.equal(await checker.checkNow(2), false)
  await assert.rejects(checker.check([layout.pieceCount]), /there is no piece/)
  assert.throws(() => make({ bytesPerSecond: 0 }), /bytesPerSecond .* not 0/)
  assert.deepEqual(await make({ expected: () => undefined }).check([0]), { good: 0, bad: 1 })
})

for (const kind of ['files', 'memory'] as const) {
  checkTest(kind, 'a piece that cannot be read is bad, with the reason', async ({ storage, make }) => {
    const fault = new TorrentError('ERR_STORAGE_READ', 'the disk is broken')
    // Without known segments a piece is read through the storage, in the background for files too.
    const broken: Partial<Storage> = {
      read: async (at, target) => {
        if (Math.floor(at / pieceLength) === 3) throw fault
        return storage.read(at, target)
      },
      segments: () => {
        throw fault
      }
    }
    const faults: [number, Error | undefined][] = []
    const checker = make({ storage: Object.setPrototypeOf(broken, storage) })
    const summary = await checker.check([2, 3], {
      onResult: (piece, ok, error) => {
        if (!ok) faults.push([piece, error])
      }
    })
    assert.deepEqual(summary, { good: 1, bad: 1 })
    assert.deepEqual(faults, [[3, fault]])
  })
}
