import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { HashPool } from '../../lib/hash/hash-pool.ts'
import { hashOf } from '../../lib/hash/running-hash.ts'
import { Checker } from '../../lib/storage/checker.ts'
import { FileStorage } from '../../lib/storage/file-storage.ts'
import type { FileStorageOptions } from '../../lib/storage/file-storage-options.ts'
import type { StorageLink } from '../../lib/storage/storage.ts'
import { nodeFs, type StorageFs } from '../../lib/storage/storage-fs.ts'
import { layoutOf, pattern, readBytes } from './contract.ts'

/** Two pieces in each file, shared with no other file. */
const layout = layoutOf(16384, [
  ['t/a', 32768],
  ['t/b', 32768],
  ['t/deep/c', 32768]
])
const all = layout.files.map(() => true)
const dataOf = (index: number): Uint8Array => pattern(index * 32768, 32768)
const refused = { code: 'ERR_STORAGE_PATH' }
/** A user id that this test does not run as. */
const otherUser = BigInt((process.geteuid?.() ?? 0) + 1)

/** A folder with the torrent's folder `data`, and `out` beside it. */
class Site {
  readonly folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'piecewise-links-')))
  readonly root = path.join(this.folder, 'data')
  readonly out = path.join(this.folder, 'out')
  readonly parts = path.join(this.root, '.piecewise/x.parts')
  readonly #storages: FileStorage[] = []

  constructor(t: TestContext) {
    mkdirSync(this.out)
    t.after(async () => {
      await Promise.all(this.#storages.map((storage) => storage.close()))
      rmSync(this.folder, { recursive: true, force: true })
    })
  }

  /** Returns a path below the torrent's folder. */
  in(name: string): string {
    return path.join(this.root, name)
  }

  /** Returns a path in the folder beside it. */
  outside(name: string): string {
    return path.join(this.out, name)
  }

  storage(options: Partial<FileStorageOptions> = {}): FileStorage {
    const storage = new FileStorage({ path: this.root, partsPath: this.parts, ...options })
    this.#storages.push(storage)
    return storage
  }

  async open(options: Partial<FileStorageOptions> = {}, wanted = all): Promise<FileStorage> {
    const storage = this.storage(options)
    await storage.open(layout, wanted)
    return storage
  }

  link(name: string, target: string): void {
    mkdirSync(path.dirname(this.in(name)), { recursive: true })
    symlinkSync(target, this.in(name))
  }

  /** Returns everything below a folder with its content. Does not follow links. */
  tree(folder: string): Record<string, string> {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
      const file = path.join(entry.parentPath, entry.name)
      const content = entry.isFile()
        ? `${lstatSync(file).size} ${Buffer.from(hashOf('sha1', readFileSync(file))).toString('hex')}`
        : entry.isSymbolicLink()
          ? `-> ${readlinkSync(file)}`
          : entry.isDirectory()
            ? '/'
            : 'special'
      return [path.relative(folder, file), content] as const
    })
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

/** Writes all bytes of one file of the torrent. */
async function write(storage: FileStorage, index = 0): Promise<void> {
  await storage.write(index * 32768, [dataOf(index)])
}

/** Returns whether a check on threads verifies the pieces of a file. */
async function check(storage: FileStorage, index = 0): Promise<boolean> {
  const pool = new HashPool()
  const checker = new Checker({
    storage,
    layout,
    pool,
    expected: (piece) => hashOf('sha1', pattern(piece * 16384, 16384))
  })
  try {
    const { good } = await checker.check({ start: 2 * index, end: 2 * index + 2 })
    assert.ok(good === 0 || good === 2)
    return good === 2
  } finally {
    await checker.close()
    await pool.close()
  }
}

/** Returns a file system in which some paths belong to another user. */
function ownedByOther(...paths: string[]): StorageFs {
  return {
    ...nodeFs,
    lstat: async (name, options) => {
      const stats = await nodeFs.lstat(name, options)
      return paths.includes(name) ? Object.assign(Object.create(stats), { uid: otherUser }) : stats
    }
  }
}

/**
 * Links that a user makes before adding a torrent: the resulting path of the first file, and the recorded
 * links.
 */
const accepted: Record<string, (site: Site) => { file: string; links: StorageLink[] }> = {
  'a folder on another disk': (site) => {
    site.link('t', site.out)
    return { file: site.outside('a'), links: [{ path: 't', target: site.out }] }
  },
  'a folder by a relative path': (site) => {
    site.link('t', '../out')
    return { file: site.outside('a'), links: [{ path: 't', target: site.out }] }
  },
  'one file': (site) => {
    writeFileSync(site.outside('film'), '')
    site.link('t/a', '../../out/film')
    return { file: site.outside('film'), links: [{ path: 't/a', target: site.outside('film') }] }
  },
  'a link to a link': (site) => {
    symlinkSync('out', path.join(site.folder, 'two'))
    symlinkSync('two', path.join(site.folder, 'one'))
    site.link('t', '../one')
    return { file: site.outside('a'), links: [{ path: 't', target: site.out }] }
  },
  'a path through a link': (site) => {
    mkdirSync(site.outside('t'))
    symlinkSync('out', path.join(site.folder, 'way'))
    site.link('t', '../way/./../way/t')
    return { file: site.outside('t/a'), links: [{ path: 't', target: site.outside('t') }] }
  },
  'a link below a link': (site) => {
    mkdirSync(site.outside('t'))
    writeFileSync(site.outside('film'), '')
    symlinkSync('../film', site.outside('t/a'))
    site.link('t', '../out/t')
    return {
      file: site.outside('film'),
      links: [
        { path: 't', target: site.outside('t') },
        { path: 't/a', target: site.outside('film') }
      ]
    }
  },
  'a folder inside': (site) => {
    mkdirSync(site.in('real'), { recursive: true })
    site.link('t', 'real')
    return { file: site.in('real/a'), links: [{ path: 't', target: site.in('real') }] }
  },
  'the folder of the torrent itself': (site) => {
    symlinkSync('out', site.root)
    return { file: site.outside('t/a'), links: [{ path: './', target: site.out }] }
  }
}

for (const [title, make] of Object.entries(accepted)) {
  test(`before add: ${title} is followed, recorded, and followed after a restart`, async (t) => {
    const site = new Site(t)
    const { file, links } = make(site)
    const first = await site.open()
    await write(first)
    assert.deepEqual(new Uint8Array(readFileSync(file)), dataOf(0))
    assert.deepEqual(await readBytes(first, 0, 32768), dataOf(0))
    assert.deepEqual(first.links, links)
    assert.equal(first.segments(0, 10)[0]?.path, file)
    assert.equal(await check(first), true)
    await first.sync()
    const { created } = first
    await first.close()

    const second = await site.open({ created, links })
    assert.equal((await second.stats()).files[0]?.size, 32768)
    assert.deepEqual(await readBytes(second, 0, 32768), dataOf(0))
    assert.equal(await check(second), true)
    await write(second, 1)
    assert.equal(await check(second, 1), true)
    assert.deepEqual(second.links, links)
    const before = site.tree(site.folder)
    const isLink = ([, content]: [string, string]): boolean => content.startsWith('->')
    await second.delete()
    assert.equal(existsSync(file), false)
    // The links belong to the user.
    assert.deepEqual(
      Object.entries(site.tree(site.folder)).filter(isLink),
      Object.entries(before).filter(isLink)
    )
  })
}

/** Links that are refused even if they exist before the torrent is added. */
const unacceptable: Record<string, (site: Site) => StorageFs | undefined> = {
  'a folder link of another user': (site) => {
    site.link('t', '../out')
    return ownedByOther(site.in('t'))
  },
  'a file link of another user': (site) => {
    writeFileSync(site.outside('film'), '')
    site.link('t/a', '../../out/film')
    return ownedByOther(site.in('t/a'))
  },
  'a link to a link of another user': (site) => {
    symlinkSync('out', path.join(site.folder, 'one'))
    site.link('t', '../one')
    return ownedByOther(path.join(site.folder, 'one'))
  },
  'a path through a link of another user': (site) => {
    mkdirSync(site.outside('t'))
    symlinkSync('out', path.join(site.folder, 'way'))
    site.link('t', '../way/t')
    return ownedByOther(path.join(site.folder, 'way'))
  },
  'a folder link that leads nowhere': (site) => void site.link('t', '../unmounted/t'),
  'a file link that leads nowhere': (site) => void site.link('t/a', '../../unmounted/a'),
  'a link to itself': (site) => void site.link('t', 't'),
  'a folder in the place of a file': (site) => void site.link('t/a', '../../out'),
  'a file in the place of a folder': (site) => {
    writeFileSync(site.outside('film'), '')
    site.link('t', '../out/film')
    return undefined
  },
  'a FIFO behind a link': (site) => {
    execFileSync('mkfifo', [site.outside('fifo')])
    site.link('t/a', '../../out/fifo')
    return undefined
  },
  'a FIFO': (site) => {
    mkdirSync(site.in('t'), { recursive: true })
    execFileSync('mkfifo', [site.in('t/a')])
    return undefined
  }
}

for (const [title, make] of Object.entries(unacceptable)) {
  test(`before add: ${title} refuses the torrent, and nothing is read, written or deleted there`, async (t) => {
    const site = new Site(t)
    const fs = make(site)
    const options = fs === undefined ? {} : { fs }
    const before = site.tree(site.folder)
    await assert.rejects(site.open(options), refused)
    const unwanted = await site.open({ ...options, created: ['t/a', 't/', './'] }, [false, false, false])
    assert.equal((await readBytes(unwanted, 0, 10)).length, 0)
    assert.throws(() => unwanted.segments(0, 10), refused)
    assert.equal(await check(unwanted), false)
    await assert.rejects(unwanted.select([true, false, false]), refused)
    await unwanted.delete().catch(() => {})
    assert.deepEqual(site.tree(site.folder), before)
  })
}

/**
 * Changes of existing files by a local attacker, or a careless user. The target of each link has the right
 * bytes, so code that follows it would find nothing wrong.
 */
const changes: Record<string, (site: Site) => void> = {
  'a folder is replaced by a link': ({ root, out }) => {
    rmSync(path.join(root, 't'), { recursive: true })
    symlinkSync(path.join(out, 't'), path.join(root, 't'))
  },
  'a folder is moved and replaced by a link to it': ({ root, folder }) => {
    renameSync(path.join(root, 't'), path.join(folder, 'moved'))
    symlinkSync('../moved', path.join(root, 't'))
  },
  'the folder of the torrent is replaced by a link': ({ root, out }) => {
    rmSync(root, { recursive: true })
    symlinkSync(out, root)
  },
  'a file is replaced by a link': ({ root, out }) => {
    unlinkSync(path.join(root, 't/a'))
    symlinkSync(path.join(out, 't/a'), path.join(root, 't/a'))
  },
  'a file is replaced by a link to a link': ({ root, out }) => {
    unlinkSync(path.join(root, 't/a'))
    symlinkSync('link', path.join(root, 't/a'))
    symlinkSync(path.join(out, 't/a'), path.join(root, 't/link'))
  },
  'a file is replaced by a link that leads nowhere': ({ root, out }) => {
    unlinkSync(path.join(root, 't/a'))
    symlinkSync(path.join(out, 'new'), path.join(root, 't/a'))
  },
  'a file is replaced by a FIFO': ({ root }) => {
    unlinkSync(path.join(root, 't/a'))
    execFileSync('mkfifo', [path.join(root, 't/a')])
  },
  'a folder is replaced by a FIFO': ({ root }) => {
    rmSync(path.join(root, 't'), { recursive: true })
    execFileSync('mkfifo', [path.join(root, 't')])
  }
}

/** The same for accepted links. */
const linkedChanges: Record<string, (site: Site) => void> = {
  'a folder link leads elsewhere': ({ root, out }) => {
    unlinkSync(path.join(root, 't'))
    symlinkSync(path.join(out, 't'), path.join(root, 't'))
  },
  'a file link leads elsewhere': ({ root, out }) => {
    unlinkSync(path.join(root, 't/a'))
    symlinkSync(path.join(out, 't/a'), path.join(root, 't/a'))
  },
  'the folder that a link leads to is replaced by a link': ({ folder, out }) => {
    rmSync(path.join(folder, 'disk/t'), { recursive: true, force: true })
    symlinkSync(path.join(out, 't'), path.join(folder, 'disk/t'))
  }
}

/** Operations after a change. Each must fail, or report that nothing exists. */
const operations: Record<string, (storage: FileStorage) => Promise<void>> = {
  write: (storage) => assert.rejects(write(storage), refused),
  read: async (storage) => {
    const bytes = await readBytes(storage, 0, 32768).catch((error: unknown) => {
      assert.equal((error as { code?: string }).code, 'ERR_STORAGE_PATH')
      return new Uint8Array(0)
    })
    assert.equal(bytes.length, 0)
  },
  check: async (storage) => assert.equal(await check(storage), false),
  delete: (storage) => storage.delete().catch(() => {})
}

/** Makes a torrent's files as downloaded, with the same below `out`. */
async function downloaded(site: Site, linked = ''): Promise<Partial<FileStorageOptions>> {
  if (linked.startsWith('a file link')) {
    mkdirSync(path.join(site.folder, 'disk'))
    writeFileSync(path.join(site.folder, 'disk/a'), '')
    site.link('t/a', '../../disk/a')
  } else if (linked !== '') {
    mkdirSync(path.join(site.folder, 'disk/t'), { recursive: true })
    site.link('t', '../disk/t')
  }
  const storage = await site.open()
  for (const index of layout.files.keys()) await write(storage, index)
  await storage.sync()
  const { created, links } = storage
  await storage.close()
  const copy = site.storage({ path: site.out, partsPath: path.join(site.folder, 'y.parts') })
  await copy.open(layout, all)
  for (const index of layout.files.keys()) await write(copy, index)
  await copy.close()
  assert.ok(links)
  return { created, links }
}

for (const [title, change] of [...Object.entries(changes), ...Object.entries(linkedChanges)]) {
  const linked = title in linkedChanges ? title : ''
  for (const [operation, run] of Object.entries(operations)) {
    test(`after add: when ${title}, ${operation} does not follow it`, async (t) => {
      const site = new Site(t)
      const storage = await site.open(await downloaded(site, linked))
      change(site)
      const before = site.tree(site.out)
      // Threads continue to read the link's old target.
      if (operation === 'check' && title.endsWith('leads elsewhere')) assert.equal(await check(storage), true)
      else await run(storage)
      assert.deepEqual(site.tree(site.out), before)
    })
  }

  test(`after a restart: when ${title}, the torrent is refused`, async (t) => {
    const site = new Site(t)
    const options = await downloaded(site, linked)
    change(site)
    const before = site.tree(site.out)
    // Where only the user can have made the link, it counts as a new choice of folder.
    const isChosen = title.startsWith('the folder of the torrent')
    const fs = isChosen ? { fs: ownedByOther(site.root) } : {}
    await assert.rejects(site.open({ ...options, ...fs }), refused)
    assert.deepEqual(site.tree(site.out), before)
    if (isChosen) await (await site.open(options)).close()
  })
}

test('a record without links, as 0.1.0 wrote it, accepts existing ones', async (t) => {
  const site = new Site(t)
  const { created } = await downloaded(site)
  renameSync(site.in('t'), path.join(site.folder, 'disk'))
  site.link('t', '../disk')
  const storage = await site.open(created === undefined ? {} : { created })
  assert.deepEqual(storage.links, [{ path: 't', target: path.join(site.folder, 'disk') }])
  assert.equal(await check(storage), true)
})

test('a file that replaces a recorded link is used; the link may come back', async (t) => {
  const site = new Site(t)
  const options = await downloaded(site, 'a folder link')
  unlinkSync(site.in('t'))
  renameSync(path.join(site.folder, 'disk/t'), site.in('t'))
  const back = await site.open(options)
  assert.equal(await check(back), true)
  await back.close()
  renameSync(site.in('t'), path.join(site.folder, 'disk/t'))
  site.link('t', '../disk/t')
  assert.equal(await check(await site.open({ ...options, links: back.links ?? [] })), true)
})

test('an unmounted disk refuses the torrent, and a late mount is found', async (t) => {
  const site = new Site(t)
  const options = await downloaded(site, 'a folder link')
  renameSync(path.join(site.folder, 'disk'), path.join(site.folder, 'unmounted'))
  await assert.rejects(site.open(options), refused)
  const storage = await site.open(options, [false, false, false])
  renameSync(path.join(site.folder, 'unmounted'), path.join(site.folder, 'disk'))
  await storage.select(all)
  assert.equal(await check(storage), true)
})

/** Links that appear where nothing existed when the torrent was added. */
const appearing: Record<string, (site: Site) => void> = {
  'a folder': (site) => site.link('t', '../out'),
  'the folder of the torrent': ({ root }) => symlinkSync('out', root),
  'a file': (site) => {
    writeFileSync(site.outside('a'), dataOf(0))
    site.link('t/a', '../../out/a')
  },
  'a file that is not there either': (site) => site.link('t/a', '../../out/new')
}

for (const [title, make] of Object.entries(appearing)) {
  for (const [operation, run] of Object.entries(operations)) {
    test(`after add: a link that appears in place of ${title} is not followed by ${operation}`, async (t) => {
      const site = new Site(t)
      const storage = await site.open()
      make(site)
      const before = site.tree(site.out)
      await run(storage)
      assert.deepEqual(site.tree(site.out), before)
    })
  }
}

/** Makes a link at the moment when `name` is created. */
function swapping(on: 'open' | 'mkdir', name: string, swap: () => void): StorageFs {
  let done = false
  const once = (made: string): void => {
    if (done || !made.endsWith(name)) return
    done = true
    swap()
  }
  return {
    ...nodeFs,
    open: async (file, flags, mode) => {
      if (on === 'open') once(file)
      return nodeFs.open(file, flags, mode)
    },
    mkdir: async (folder, options) => {
      if (on === 'mkdir') once(folder)
      return nodeFs.mkdir(folder, options)
    }
  }
}

for (const [on, name, swapped] of [
  ['open', 't/a', 't'],
  ['open', 'deep/c', 't/deep'],
  ['open', 'deep/c', 't'],
  ['mkdir', 'deep', 't'],
  ['mkdir', 'deep', ''],
  ['open', 'x.parts', '.piecewise'],
  ['open', 'x.parts', ''],
  ['mkdir', '.piecewise', '']
] as const) {
  const what = swapped === '' ? 'the folder of the torrent' : swapped
  test(`${what} that becomes a link at the ${on} of ${name} leaves nothing at its target`, async (t) => {
    const site = new Site(t)
    mkdirSync(site.in(swapped === '' ? '' : swapped), { recursive: true })
    if (swapped !== '') mkdirSync(site.outside(swapped), { recursive: true })
    for (const below of ['t/deep', 'deep', '.piecewise']) {
      if (on === 'open') mkdirSync(site.outside(below), { recursive: true })
    }
    const fs = swapping(on, name, () => {
      renameSync(site.in(swapped), path.join(site.folder, 'gone'))
      symlinkSync(site.out, swapped === '' ? site.root : site.in(swapped))
    })
    const unwanted = name.includes('parts') || name === '.piecewise'
    const storage = await site.open({ fs }, unwanted ? [false, false, false] : all)
    const before = site.tree(site.out)
    await assert.rejects(write(storage, name === 't/a' ? 0 : 2), refused)
    assert.deepEqual(site.tree(site.out), before)
  })
}

test('the parts file is not read, written or removed through a link made later', async (t) => {
  const site = new Site(t)
  const storage = await site.open({}, [false, false, false])
  await write(storage)
  assert.ok(existsSync(site.parts))
  renameSync(site.root, path.join(site.folder, 'gone'))
  mkdirSync(site.outside('.piecewise'))
  writeFileSync(site.outside('.piecewise/x.parts'), 'of the user')
  symlinkSync('out', site.root)
  const before = site.tree(site.out)
  assert.equal(await check(storage), true, 'by the handle that is open')
  await assert.rejects(storage.delete(), refused)
  assert.deepEqual(site.tree(site.out), before)
})

test('a torrent whose folder is removed meanwhile makes it again', async (t) => {
  for (const name of ['t', 't/deep', '']) {
    const site = new Site(t)
    const storage = await site.open(await downloaded(site))
    rmSync(site.in(name), { recursive: true })
    await write(storage, 2)
    assert.equal(await check(storage, 2), true)
  }
})

test('files that a user puts into a missing folder are found', async (t) => {
  const site = new Site(t)
  const storage = await site.open()
  mkdirSync(site.in('t'), { recursive: true })
  writeFileSync(site.in('t/a'), dataOf(0))
  assert.equal(await check(storage), true)
  assert.deepEqual(await readBytes(storage, 0, 32768), dataOf(0))
})

test('folders with new numbers (FAT, FUSE), or replaced by the user, are no fault', async (t) => {
  const site = new Site(t)
  let shift = 0n
  const fs: StorageFs = {
    ...nodeFs,
    lstat: async (name, options) => {
      const stats = await nodeFs.lstat(name, options)
      return Object.assign(Object.create(stats), { ino: stats.ino + shift, dev: stats.dev + shift })
    }
  }
  const storage = await site.open({ ...(await downloaded(site)), fs })
  assert.equal(await check(storage), true)
  shift = 1000n
  assert.equal(await check(storage), true)
  assert.deepEqual(await readBytes(storage, 32768, 10), dataOf(1).subarray(0, 10))
  shift = 2000n
  await write(storage, 2)
  await storage.delete()
  assert.equal(existsSync(site.root), false)
})

test('files that the user named one by one are read behind links, and not after those are replaced', async (t) => {
  const site = new Site(t)
  mkdirSync(path.join(site.folder, 'disk'))
  const files = ['a', 'b', 'c'].map((name, index) => {
    const file = path.join(site.folder, 'disk', name)
    writeFileSync(file, dataOf(index))
    return file
  })
  symlinkSync('disk', path.join(site.folder, 'way'))
  symlinkSync('disk/b', path.join(site.folder, 'link'))
  const [a = '', , c = ''] = files
  const given = [path.join(site.folder, 'way/a'), path.join(site.folder, 'link'), c]
  const storage = await site.open({ files: given, fs: ownedByOther(path.join(site.folder, 'link')) })
  for (const index of layout.files.keys()) assert.equal(await check(storage, index), true)
  assert.equal(storage.links, undefined)
  unlinkSync(a)
  writeFileSync(site.outside('a'), dataOf(0))
  symlinkSync(site.outside('a'), a)
  assert.equal(await check(storage), false)
  await assert.rejects(readBytes(storage, 0, 10), refused)
})

test('a link in place of a file does not lead into a reserved folder', async (t) => {
  const site = new Site(t)
  mkdirSync(site.in('t'), { recursive: true })
  writeFileSync(site.outside('x.resume'), 'record')
  symlinkSync(site.outside('x.resume'), site.in('t/a'))
  await assert.rejects(site.open({ reserved: [site.out] }), { ...refused, message: /holds the state/ })
  assert.equal(readFileSync(site.outside('x.resume'), 'utf8'), 'record')
})
