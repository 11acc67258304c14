import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileStorage } from '../../lib/storage/file-storage.ts'
import type { FileStorageOptions } from '../../lib/storage/file-storage-options.ts'
import { StorageClaims } from '../../lib/storage/storage-claims.ts'
import { nodeFs, type StorageFs, type StorageHandle } from '../../lib/storage/storage-fs.ts'
import { type FileSketch, layoutOf, pattern, readBytes, testStorage } from './contract.ts'

let base = ''

testStorage('files', {
  make: () => {
    base = mkdtempSync(join(tmpdir(), 'piecewise-storage-'))
    return new FileStorage({ path: join(base, 'data'), partsPath: join(base, 'state/x.parts') })
  },
  cleanUp: () => rmSync(base, { recursive: true, force: true })
})

interface Rig {
  readonly folder: string
  readonly root: string
  readonly parts: string
  make(options?: Partial<FileStorageOptions>): FileStorage
  /** Returns everything below the folder, sorted. */
  tree(): string[]
}

/** Runs a test with a folder of its own, whose storages are all closed afterwards. */
function diskTest(title: string, body: (rig: Rig) => Promise<void>): void {
  test(title, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'piecewise-storage-'))
    const storages: FileStorage[] = []
    const root = join(folder, 'data')
    const parts = join(folder, 'x.parts')
    try {
      await body({
        folder,
        root,
        parts,
        make: (options) => {
          const storage = new FileStorage({ path: root, partsPath: parts, ...options })
          storages.push(storage)
          return storage
        },
        tree: () => readdirSync(folder, { recursive: true }).map(String).sort()
      })
    } finally {
      await Promise.all(storages.map((storage) => storage.close()))
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

const three = layoutOf(16384, [
  ['t/a', 20000],
  ['t/b', 20000],
  ['t/c', 20000]
])

diskTest('500 files of every kind come and go', async ({ make, root, tree, folder }) => {
  const names = [
    'plain',
    'sp ace',
    'ünï',
    '日本',
    '.hidden',
    'semi;colon',
    '-dash',
    "quo'te",
    'a'.repeat(200),
    '😀'
  ]
  const sketches: FileSketch[] = []
  for (let index = 0; index < 500; index++) {
    const depth = Array.from({ length: index % 12 }, (_, level) => `d${(index + level) % 5}`).join('/')
    const path = ['torrent', depth, `${index} ${names[index % names.length]}`].filter(Boolean).join('/')
    sketches.push([path, [0, 1, 5, 16384, 777][index % 5] ?? 0])
  }
  const layout = layoutOf(16384, sketches)
  const storage = make({ maxOpenFiles: 8 })
  await storage.open(
    layout,
    layout.files.map(() => true)
  )
  const jobs: Promise<void>[] = []
  for (let at = 0; at < layout.length; at += 16384) {
    jobs.push(storage.write(at, [pattern(at, Math.min(16384, layout.length - at))]))
    assert.ok(storage.openFiles <= 8)
  }
  await Promise.all(jobs)
  assert.ok(storage.openFiles <= 8)
  await storage.sync()
  for (const file of layout.files) {
    assert.deepEqual(new Uint8Array(readFileSync(join(root, file.path))), pattern(file.offset, file.length))
  }
  if (existsSync('/proc/self/fd')) {
    const open = readdirSync('/proc/self/fd').length
    assert.ok(open < 60, `${open} descriptors`)
  }
  assert.deepEqual(await readBytes(storage, 0, layout.length), pattern(0, layout.length))
  await storage.delete()
  assert.deepEqual(tree(), [])
  assert.equal(existsSync(folder), true)
})

diskTest(
  'only wanted files appear; border bytes survive a restart and move when their file is wanted',
  async (rig) => {
    const first = rig.make()
    await first.open(three, [false, true, false])
    assert.deepEqual(rig.tree(), [])
    await first.write(16384, [pattern(16384, 16384)])
    await first.write(32768, [pattern(32768, 16384)])
    assert.deepEqual(rig.tree(), ['data', 'data/t', 'data/t/b', 'x.parts'])
    await first.sync()
    const { created } = first
    await first.close()

    const second = rig.make({ created })
    await second.open(three, [false, true, false])
    assert.deepEqual(await readBytes(second, 16384, 32768), pattern(16384, 32768))
    const { parts } = await second.stats()
    assert.deepEqual(parts?.ranges, [
      { start: 16384, end: 20000 },
      { start: 40000, end: 49152 }
    ])
    await second.select([true, true, false])
    assert.deepEqual(rig.tree(), ['data', 'data/t', 'data/t/a', 'data/t/b', 'x.parts'])
    assert.deepEqual(
      new Uint8Array(readFileSync(join(rig.root, 't/a')).subarray(16384)),
      pattern(16384, 3616)
    )
    await second.select([true, true, true])
    assert.equal(existsSync(rig.parts), false)
    assert.deepEqual(await readBytes(second, 16384, 32768), pattern(16384, 32768))
    // A written file stays at its path when it is no longer wanted.
    await second.select([false, false, false])
    await second.write(0, [pattern(0, 100)])
    assert.equal(existsSync(rig.parts), false)
    await second.delete()
    assert.deepEqual(rig.tree(), [])
  }
)

diskTest('segments name where each byte can be read', async ({ make, root, parts }) => {
  const layout = layoutOf(16384, [
    ['a', 10],
    ['p', 6, 'pad'],
    ['b', 20],
    ['c', 20]
  ])
  const storage = make()
  await storage.open(layout, [true, true, false, true])
  await storage.write(20, [pattern(20, 10)])
  const segments = storage.segments(5, 45)
  assert.deepEqual(
    segments.map(({ path, fileOffset, length }) => [path, path === parts ? '' : fileOffset, length]),
    [
      [join(root, 'a'), 5, 5],
      [undefined, 0, 6],
      [join(root, 'b'), 0, 4],
      [parts, '', 10],
      [join(root, 'b'), 14, 6],
      [join(root, 'c'), 0, 14]
    ]
  )
  const kept = segments.find(({ path }) => path === parts)
  assert.ok(kept)
  assert.deepEqual(
    new Uint8Array(readFileSync(parts).subarray(kept.fileOffset, kept.fileOffset + 10)),
    pattern(20, 10)
  )
})

diskTest('empty files and the executable attribute', async ({ make, root }) => {
  const layout = layoutOf(16384, [
    ['t/run', 5, 'executable'],
    ['t/empty', 0],
    ['t/unwanted', 0]
  ])
  const storage = make()
  await storage.open(layout, [true, true, false])
  assert.deepEqual(readdirSync(join(root, 't')), ['empty'])
  await storage.write(0, [pattern(0, 5)])
  if (process.platform !== 'win32') {
    assert.equal(statSync(join(root, 't/run')).mode & 0o100, 0o100)
    assert.equal(statSync(join(root, 't/empty')).mode & 0o111, 0)
  }
  await storage.select([true, true, true])
  assert.deepEqual(readdirSync(join(root, 't')).sort(), ['empty', 'run', 'unwanted'])
})

diskTest(
  'a longer file keeps its tail, and a file that was only checked outlives delete',
  async ({ make, root, tree }) => {
    mkdirSync(join(root, 't'), { recursive: true })
    writeFileSync(join(root, 't/a'), new Uint8Array(30000).fill(7))
    writeFileSync(join(root, 't/mine'), 'mine')
    const storage = make()
    await storage.open(three, [true, true, true])
    assert.equal((await readBytes(storage, 0, 30000)).length, 20000)
    await storage.write(20000, [pattern(20000, 20000)])
    assert.deepEqual(storage.created, ['t/b'])
    await storage.delete()
    assert.deepEqual(tree(), ['data', 'data/t', 'data/t/a', 'data/t/mine'])
    assert.equal(statSync(join(root, 't/a')).size, 30000)
  }
)

diskTest(
  'files that a resume record calls created are removed only when they belong to the torrent',
  async ({ make, root, folder, tree }) => {
    mkdirSync(join(root, 't/more'), { recursive: true })
    for (const name of ['t/a', 't/b', 'other']) writeFileSync(join(root, name), name)
    writeFileSync(join(folder, 'outside'), 'outside')
    const storage = make({ created: ['t/a', 't/', './', '../outside', '../', 'other', 't/more/', 't/c'] })
    await storage.open(three, [true, true, true])
    assert.deepEqual(storage.created, ['t/a', './', 't/'])
    await storage.delete()
    assert.deepEqual(tree(), ['data', 'data/other', 'data/t', 'data/t/b', 'data/t/more', 'outside'])
  }
)

diskTest('folders and files in the way are named', async ({ make, root }) => {
  mkdirSync(join(root, 't/a'), { recursive: true })
  await assert.rejects(make().open(three, [true, true, true]), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_STORAGE_PATH')
    assert.match(error.message, /A folder stands where the file .*t[\\/]a should be/)
    return true
  })
  rmSync(root, { recursive: true })
  mkdirSync(root)
  writeFileSync(join(root, 't'), 'a file')
  await assert.rejects(make().open(three, [true, true, true]), /A file stands where .* needs a folder/)
  for (const path of ['../x', 'a//b', '/etc/x', 'a/./b', 'a\0b']) {
    await assert.rejects(make().open(layoutOf(16384, [[path, 1]]), [true]), { code: 'ERR_STORAGE_PATH' })
  }
})

diskTest('two storages cannot write to one file', async ({ make, parts }) => {
  const claims = new StorageClaims()
  const first = make({ claims })
  const second = make({ claims, partsPath: `${parts}2` })
  await first.open(three, [true, false, false])
  await assert.rejects(second.open(three, [true, true, true]), { code: 'ERR_STORAGE_IN_USE' })
  const third = make({ claims, partsPath: `${parts}3` })
  await third.open(three, [false, true, false])
  await assert.rejects(first.select([true, true, false]), { code: 'ERR_STORAGE_IN_USE' })
  const reader = make({ claims, readOnly: true })
  await reader.open(three, [true, true, true])
  await third.close()
  await first.select([true, true, false])
  await first.close()
  await make({ claims }).open(three, [true, true, true])
})

diskTest('read only: nothing appears, nothing is written', async ({ make, tree, folder }) => {
  const storage = make({ readOnly: true })
  await storage.open(
    layoutOf(16384, [
      ['a', 5],
      ['e', 0]
    ]),
    [true, true]
  )
  await assert.rejects(storage.write(0, [new Uint8Array(5)]), { code: 'ERR_STORAGE_ACCESS' })
  await storage.sync()
  await storage.delete()
  assert.deepEqual(tree(), [])
  assert.ok(existsSync(folder))
})

diskTest('stats show changes by other programs', async ({ make, root }) => {
  const storage = make()
  await storage.open(three, [true, true, true])
  await storage.write(0, [pattern(0, 40000)])
  const sizes = async (): Promise<(number | undefined)[]> =>
    (await storage.stats()).files.map((file) => file?.size)
  assert.deepEqual(await sizes(), [20000, 20000, undefined])
  const path = join(root, 't/a')
  writeFileSync(path, pattern(0, 20001))
  assert.deepEqual(await sizes(), [20000, 20000, undefined])
  // A checker reads the current bytes.
  storage.segments(0, 10)
  assert.deepEqual(await sizes(), [20001, 20000, undefined])
})

diskTest('a missing folder is looked up once and not for each of its files', async ({ make }) => {
  let looks = 0
  let opens = 0
  const fs: StorageFs = {
    ...nodeFs,
    open: (path, flags, mode) => {
      opens++
      return nodeFs.open(path, flags, mode)
    },
    realpath: (path) => {
      looks++
      return nodeFs.realpath(path)
    },
    lstat: (path, options) => {
      looks++
      return nodeFs.lstat(path, options)
    },
    stat: (path, options) => {
      looks++
      return nodeFs.stat(path, options)
    }
  }
  const sketches = Array.from({ length: 100 }, (_, n): FileSketch => [`many/${n}`, 10])
  const many = layoutOf(16384, sketches)
  const storage = make({ fs })
  await storage.open(
    many,
    many.files.map(() => true)
  )
  await storage.stats()
  assert.ok(looks < 10, `${looks} looks`)
  await storage.write(0, [pattern(0, 1000)])
  assert.deepEqual(await readBytes(storage, 0, 1000), pattern(0, 1000))
  // One look for each opened file.
  assert.ok(looks < 30 + opens, `${looks} looks, ${opens} files opened`)
})

diskTest('files may lie in different folders', async ({ make, folder }) => {
  mkdirSync(join(folder, 'one'))
  mkdirSync(join(folder, 'two'))
  const files = [join(folder, 'one/x'), join(folder, 'two/y'), join(folder, 'z')]
  for (const [index, path] of files.entries()) writeFileSync(path, pattern(index * 20000, 20000))
  const storage = make({ files })
  await storage.open(three, [true, true, true])
  assert.deepEqual(await readBytes(storage, 0, 60000), pattern(0, 60000))
  assert.deepEqual(storage.created, [])
  const stats = await storage.stats()
  assert.deepEqual(
    stats.files.map((file) => file?.size),
    [20000, 20000, 20000]
  )
  await assert.rejects(make({ files: [] }).open(three, []), { code: 'ERR_STORAGE_PATH' })
})

/** Returns the real file system, except for one call. */
function failing(
  part: Partial<StorageFs>,
  handle?: (real: StorageHandle) => Partial<StorageHandle>
): StorageFs {
  return {
    ...nodeFs,
    open: async (path, flags, mode) => {
      const real = await nodeFs.open(path, flags, mode)
      if (handle === undefined) return real
      const bound: StorageHandle = {
        read: (...args) => real.read(...args),
        writev: (...args) => real.writev(...args),
        truncate: (length) => real.truncate(length),
        stat: (options) => real.stat(options),
        datasync: () => real.datasync(),
        sync: () => real.sync(),
        close: () => real.close()
      }
      return { ...bound, ...handle(bound) }
    },
    ...part
  }
}

const fault = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code })

for (const [code, expected] of [
  ['ENOSPC', 'ERR_STORAGE_FULL'],
  ['EDQUOT', 'ERR_STORAGE_FULL'],
  ['EACCES', 'ERR_STORAGE_ACCESS'],
  ['EROFS', 'ERR_STORAGE_ACCESS'],
  ['EIO', 'ERR_STORAGE_WRITE'],
  ['EMFILE', 'ERR_STORAGE_WRITE'],
  ['EFBIG', 'ERR_STORAGE_WRITE']
] as const) {
  diskTest(
    `a write that fails with ${code} rejects with ${expected} and can be repeated`,
    async ({ make, root }) => {
      let broken = true
      const fs = failing({}, (real) => ({
        writev: (...args) => (broken ? Promise.reject(fault(code)) : real.writev(...args))
      }))
      const storage = make({ fs })
      await storage.open(three, [true, false, true])
      for (const byteOffset of [0, 20000]) {
        await assert.rejects(
          storage.write(byteOffset, [pattern(0, 100)]),
          (error: Error & { code?: string }) => {
            assert.equal(error.code, expected)
            assert.ok(error.message.includes(byteOffset === 0 ? join(root, 't/a') : 'x.parts'), error.message)
            return true
          }
        )
      }
      broken = false
      for (const byteOffset of [0, 20000]) {
        await storage.write(byteOffset, [pattern(byteOffset, 100)])
        assert.deepEqual(await readBytes(storage, byteOffset, 100), pattern(byteOffset, 100))
      }
    }
  )
}

diskTest('read faults, short reads and short writes', async ({ make }) => {
  let broken = false
  const fs = failing({}, (real) => ({
    read: (target, offset, length, position) =>
      broken ? Promise.reject(fault('EIO')) : real.read(target, offset, Math.min(length, 700), position),
    writev: (buffers, position) => {
      const first = buffers[0]
      return real.writev(first === undefined ? [] : [first.subarray(0, 999)], position)
    }
  }))
  const storage = make({ fs })
  await storage.open(three, [true, true, true])
  await storage.write(100, [pattern(100, 5000), pattern(5100, 40000)])
  assert.deepEqual(await readBytes(storage, 100, 45000), pattern(100, 45000))
  broken = true
  await assert.rejects(storage.read(100, new Uint8Array(10)), { code: 'ERR_STORAGE_READ' })
})

diskTest('a failed move loses no byte and can be repeated', async ({ make, root, parts }) => {
  let broken = true
  const fs = failing({}, (real) => ({
    writev: (buffers, position) =>
      broken && buffers[0]?.byteLength === 20000
        ? Promise.reject(fault('ENOSPC'))
        : real.writev(buffers, position)
  }))
  const storage = make({ fs })
  await storage.open(three, [false, false, false])
  await storage.write(20000, [pattern(20000, 10000), pattern(30000, 10000)])
  broken = false
  await storage.write(0, [pattern(0, 20000)])
  broken = true
  await assert.rejects(storage.select([true, true, false]), { code: 'ERR_STORAGE_FULL' })
  assert.deepEqual(await readBytes(storage, 0, 40000), pattern(0, 40000))
  // Bytes written to the half-moved file now must win over both copies.
  await storage.write(100, [new Uint8Array(50).fill(9)])
  assert.deepEqual(await readBytes(storage, 100, 50), new Uint8Array(50).fill(9))
  broken = false
  await storage.select([true, true, false])
  assert.equal(existsSync(parts), false)
  assert.deepEqual(await readBytes(storage, 100, 50), new Uint8Array(50).fill(9))
  assert.equal(statSync(join(root, 't/b')).size, 20000)
})

diskTest('sync flushes each written file once, and again after a failure', async ({ make }) => {
  const flushed: number[] = []
  let broken = false
  let handles = 0
  const fs = failing({}, () => {
    const id = handles++
    return {
      datasync: async () => {
        if (broken) throw fault('EIO')
        flushed.push(id)
      }
    }
  })
  const storage = make({ fs })
  await storage.open(three, [true, true, false])
  await storage.write(0, [pattern(0, 50000)])
  broken = true
  await assert.rejects(storage.sync(), { code: 'ERR_STORAGE_WRITE' })
  broken = false
  await Promise.all([storage.sync(), storage.sync()])
  assert.equal(flushed.length, 3)
  await storage.sync()
  assert.equal(flushed.length, 3)
})

diskTest(
  'a written file that another program removed neither fails a sync nor comes back',
  async ({ make, root }) => {
    const storage = make()
    await storage.open(three, [true, true, true])
    await storage.write(0, [pattern(0, 100)])
    rmSync(join(root, 't/a'))
    await storage.sync()
    assert.equal(existsSync(join(root, 't/a')), false)
  }
)

diskTest('close during open leaves nothing open', async ({ make }) => {
  const storage = make()
  const opening = storage.open(three, [true, true, true])
  await storage.close()
  await assert.rejects(opening, { code: 'ERR_STORAGE_CLOSED' })
  assert.equal(storage.openFiles, 0)
})

test('options are checked', () => {
  assert.throws(
    () => new FileStorage({ path: 'x', partsPath: 'y', maxOpenFiles: 0 }),
    /maxOpenFiles .* not 0/
  )
})

diskTest('delete removes all it can before it reports failures', async ({ make, root }) => {
  const fs = failing({
    unlink: (path) => (path.endsWith('a') ? Promise.reject(fault('EACCES')) : nodeFs.unlink(path))
  })
  const storage = make({ fs })
  await storage.open(three, [true, true, false])
  await storage.write(0, [pattern(0, 60000)])
  await assert.rejects(storage.delete(), { code: 'ERR_STORAGE_ACCESS' })
  assert.deepEqual(readdirSync(join(root, 't')), ['a'])
  assert.equal(storage.openFiles, 0)
})

diskTest('selections that change during reads and writes lose nothing', async ({ make, parts }) => {
  const storage = make({ maxOpenFiles: 2 })
  await storage.open(three, [false, false, false])
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed % below
  }
  const selecting = (async () => {
    for (let round = 0; round < 30; round++) {
      await storage.select([round % 2 === 0, round % 3 === 0, round % 5 === 0])
    }
  })()
  await Promise.all(
    Array.from({ length: 60 }, async (_, index) => {
      const byteOffset = index * 1000
      await storage.write(byteOffset, [pattern(byteOffset, 1000)])
      const from = random(byteOffset + 1) === 0 ? 0 : byteOffset
      assert.deepEqual(await readBytes(storage, from, 1000), pattern(from, 1000))
      if (random(8) === 0) await storage.sync()
    })
  )
  await selecting
  await storage.select([true, true, true])
  assert.deepEqual(await readBytes(storage, 0, 60000), pattern(0, 60000))
  assert.equal(existsSync(parts), false)
})

diskTest(
  'no descriptor is left after close, nor after an open that failed',
  async ({ make, root, parts }) => {
    const open = (): number => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0)
    const first = make()
    await first.open(three, [true, false, true])
    const before = open()
    await first.write(0, [pattern(0, 60000)])
    await readBytes(first, 0, 60000)
    await first.close()
    assert.ok(open() <= before)
    rmSync(join(root, 't/a'))
    mkdirSync(join(root, 't/a'))
    assert.ok(existsSync(parts))
    await assert.rejects(make().open(three, [true, false, true]), { code: 'ERR_STORAGE_PATH' })
    assert.ok(open() <= before)
  }
)

diskTest('an unreadable folder or an invalid parts file is named', async ({ make, parts, root }) => {
  const denied = failing({ realpath: () => Promise.reject(fault('EACCES')) })
  await assert.rejects(make({ fs: denied }).open(three, [true, true, true]), { code: 'ERR_STORAGE_ACCESS' })
  mkdirSync(parts)
  await assert.rejects(make().open(three, [true, true, true]), { code: 'ERR_STORAGE_PATH' })
  rmSync(parts, { recursive: true })
  const silent = failing({}, () => ({ stat: () => Promise.reject(fault('EIO')) }))
  writeFileSync(parts, 'long enough to be a header of a parts file')
  await assert.rejects(make({ fs: silent }).open(three, [true, true, true]), { code: 'ERR_STORAGE_READ' })
  assert.equal(existsSync(root), false)
})

diskTest('a file system that cannot sync folders is no fault, a failing disk is', async ({ make, root }) => {
  let code = 'EINVAL'
  const fs = failing({}, () => ({ sync: () => Promise.reject(fault(code)) }))
  const storage = make({ fs, folderMode: 0o700 })
  await storage.open(three, [true, true, true])
  await storage.write(0, [pattern(0, 100)])
  await storage.sync()
  if (process.platform !== 'win32') assert.equal(statSync(root).mode & 0o777, 0o700)
  code = 'EIO'
  await storage.write(20000, [pattern(0, 100)])
  await assert.rejects(storage.sync(), { code: 'ERR_STORAGE_WRITE' })
  await assert.rejects(storage.sync(), { code: 'ERR_STORAGE_WRITE' })
  code = 'EINVAL'
  await storage.sync()
})

diskTest(
  'a file that another program makes at the same moment is shared, not replaced',
  async ({ make, root }) => {
    const path = join(root, 't/a')
    let raced = false
    const fs = failing({
      mkdir: async (folder, options) => {
        const made = await nodeFs.mkdir(folder, options)
        if (!raced && folder.endsWith('t')) {
          raced = true
          writeFileSync(path, new Uint8Array(500).fill(5))
        }
        return made
      }
    })
    const storage = make({ fs })
    await storage.open(three, [true, true, true])
    await storage.write(100, [pattern(100, 50)])
    const bytes = readFileSync(path)
    assert.deepEqual([bytes.length, bytes[99], bytes[150]], [500, 5, 5])
  }
)

diskTest('a file that another program removed does not reappear with a sync', async ({ make, root }) => {
  const storage = make({ maxOpenFiles: 1 })
  await storage.open(three, [true, true, true])
  await storage.write(0, [pattern(0, 20000)])
  // Its handle is closed for that of the next file.
  await storage.write(20000, [pattern(20000, 20000)])
  rmSync(join(root, 't/a'))
  await storage.sync()
  assert.deepEqual(readdirSync(join(root, 't')), ['b'])
})
