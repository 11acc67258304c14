import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ReservedFolders } from '../../lib/storage/reserved-folders.ts'
import { nodeFs, type StorageFs } from '../../lib/storage/storage-fs.ts'

const refused = { name: 'TorrentError', code: 'ERR_STORAGE_PATH', message: /holds the state of piecewise/ }

/** Runs a test with an empty data folder. */
function foldersTest(title: string, body: (data: string) => Promise<void>): void {
  test(title, async () => {
    const base = realpathSync(mkdtempSync(join(tmpdir(), 'piecewise-reserved-')))
    try {
      mkdirSync(join(base, 'data'))
      await body(join(base, 'data'))
    } finally {
      rmSync(base, { recursive: true, force: true })
    }
  })
}

/** A case-insensitive file system, as far as this test needs it. */
const caseless: StorageFs = {
  ...nodeFs,
  stat: (path, options) => nodeFs.stat(path.toLowerCase(), options),
  realpath: async (path) => {
    await nodeFs.realpath(path.toLowerCase())
    return path
  }
}

const inside = ['state/client.session', 'state/sub/deeper/x', 'state']
const outside = ['state2/x', 'x', 'sub/state/x', 'statex', 'a/b/c']

foldersTest('no file may be in a reserved folder or replace it, whether it exists or not', async (data) => {
  for (const exists of [false, true]) {
    if (exists) mkdirSync(join(data, 'state'))
    const folders = new ReservedFolders(nodeFs, [join(data, 'state')], data)
    for (const path of inside)
      await assert.rejects(async () => folders.check(join(data, path)), refused, path)
    for (const path of outside) await folders.check(join(data, path))
    // Cached by now.
    for (const path of outside) await folders.check(join(data, path))
  }
})

foldersTest('a file may not replace a folder above a reserved one', async (data) => {
  const deep = join(data, 'var/lib/state')
  const folders = new ReservedFolders(nodeFs, [deep], data)
  for (const path of ['var', 'var/lib', 'var/lib/state']) {
    await assert.rejects(async () => folders.check(join(data, path)), refused, path)
  }
  await folders.check(join(data, 'var/lib/other'))
  mkdirSync(deep, { recursive: true })
  await folders.check(join(data, 'var/lib/other'))
})

foldersTest('names that a file system may treat as one are told apart only if both exist', async (data) => {
  const state = join(data, 'state')
  const folders = new ReservedFolders(nodeFs, [state], data)
  for (const name of ['STATE', 'St\u0430te'.replace('\u0430', 'a\u200d'), 'state.', 'ſtate']) {
    await assert.rejects(async () => folders.check(join(data, name, 'x')), refused, name)
  }
  mkdirSync(state)
  // This one is case-sensitive, so that it is another folder.
  const sure = new ReservedFolders(nodeFs, [state], data)
  await sure.check(join(data, 'STATE', 'x'))
  mkdirSync(join(data, 'State'))
  await sure.check(join(data, 'State', 'x'))
  const blind = new ReservedFolders(caseless, [state], data)
  await assert.rejects(async () => blind.check(join(data, 'STATE', 'x')), refused)
})

foldersTest('before a write a folder is compared by device and inode', async (data) => {
  const state = join(data, '../elsewhere/state')
  mkdirSync(join(state, 'sub'), { recursive: true })
  mkdirSync(join(data, 'a/b'), { recursive: true })
  // Bound to another path, as by a mount: no path shows it.
  const bound: StorageFs = {
    ...nodeFs,
    stat: (path, options) => nodeFs.stat(path.replace(join(data, 'a/b'), state), options)
  }
  const folders = new ReservedFolders(bound, [state], data)
  await folders.check(join(data, 'a/b/x'))
  await folders.checkFolder(join(data, 'a'))
  for (const folder of ['a/b', 'a/b/sub']) {
    await assert.rejects(async () => folders.checkFolder(join(data, folder)), refused, folder)
  }
  await folders.checkFolder(data)
  assert.equal(folders.checkFolder(data), undefined, 'known by now')
})

foldersTest('a link to a reserved folder does not bypass it', async (data) => {
  mkdirSync(join(data, 'real'))
  symlinkSync(join(data, 'real'), join(data, 'state'))
  const folders = new ReservedFolders(nodeFs, [join(data, 'state')], data)
  await assert.rejects(async () => folders.check(join(data, 'real/x')), refused)
  await assert.rejects(async () => folders.checkFolder(join(data, 'real')), refused)
})

const own = [
  'client.session',
  'client.session.tmp',
  'Client.Lock',
  'dht.nodes',
  'record.key',
  `${'0f'.repeat(20)}.resume`,
  `${'0F'.repeat(20)}.PARTS`,
  `${'0f'.repeat(32)}.torrent`,
  `${'0f'.repeat(20)}.seed`,
  'CLIENT~1.SES',
  '0F0F0F~1.RES'
]

foldersTest('data may be in the state folder, where only our own files are protected', async (data) => {
  for (const state of [data, join(data, '..')]) {
    const folders = new ReservedFolders(nodeFs, [state], data)
    for (const name of own) {
      const check = async (): Promise<void> => folders.check(join(data, name))
      if (state === data) await assert.rejects(check, refused, name)
      else await check()
      await folders.check(join(data, 'film', name))
    }
    for (const name of ['film.mkv', 'client.txt', `${'0f'.repeat(20)}.mkv`])
      await folders.check(join(data, name))
    writeFileSync(join(data, 'x'), '')
    await folders.checkFolder(data)
  }
})

foldersTest('a reserved folder in an unreadable home keeps no file out', async (data) => {
  const home = '/home/of-another-user'
  const isLocked = (path: string): boolean => path.startsWith(`${home}/`)
  const denied = (): never => {
    throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
  }
  const locked: StorageFs = {
    ...nodeFs,
    realpath: async (path) => (isLocked(path) ? denied() : path === home ? home : nodeFs.realpath(path)),
    stat: async (path, options) => (isLocked(path) ? denied() : nodeFs.stat(path, options))
  }
  const folders = new ReservedFolders(locked, [`${home}/.local/state/piecewise`], data)
  await folders.check(join(data, 'film.mkv'))
})

foldersTest('where files have no inode numbers, no folder is taken for a reserved one', async (data) => {
  const fs: StorageFs = {
    ...nodeFs,
    stat: async (path, options) => Object.assign(await nodeFs.stat(path, options), { ino: 0n })
  }
  mkdirSync(join(data, 'state'))
  const folders = new ReservedFolders(fs, [join(data, 'state')], data)
  await folders.check(join(data, 'a/x'))
  await folders.checkFolder(data)
  await assert.rejects(async () => folders.check(join(data, 'state/x')), refused)
})

foldersTest('a path is judged the same after any other checks', async (data) => {
  const names = ['a', 'A', 'state']
  const paths = names.flatMap((one) => [
    one,
    ...names.flatMap((two) => [`${one}/${two}`, ...names.map((three) => `${one}/${two}/${three}`)])
  ])
  // The last one contains the data.
  const reserved = [join(data, 'state'), join(data, 'a/state'), join(data, '..')]
  const judge = async (folders: ReservedFolders, path: string): Promise<string> => {
    try {
      await folders.check(join(data, path))
      return 'taken'
    } catch {
      return 'refused'
    }
  }
  for (const order of [paths, paths.toReversed()]) {
    const used = new ReservedFolders(nodeFs, reserved, data)
    for (const path of order) {
      const expected = await judge(new ReservedFolders(nodeFs, reserved, data), path)
      assert.equal(await judge(used, path), expected, path)
      const lower = path.toLowerCase()
      const isInside = ['state', 'a/state'].some((one) => `${lower}/`.startsWith(`${one}/`))
      assert.equal(expected, isInside || lower === 'a' ? 'refused' : 'taken', path)
    }
  }
})
