import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { FileStorage } from '../../lib/storage/file-storage.ts'
import { FolderPlaces } from '../../lib/storage/folder-places.ts'
import { RealFolders } from '../../lib/storage/real-folders.ts'
import { nodeFs, type StorageFs } from '../../lib/storage/storage-fs.ts'
import { layoutOf } from './contract.ts'

function emptyFolder(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'piecewise-folders-')))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Returns a file system that counts look-ups of paths. */
function counting(): { readonly fs: StorageFs; looks: number } {
  const counts = {
    looks: 0,
    fs: {
      ...nodeFs,
      lstat: (...args: Parameters<StorageFs['lstat']>) => {
        counts.looks++
        return nodeFs.lstat(...args)
      },
      realpath: (...args: Parameters<StorageFs['realpath']>) => {
        counts.looks++
        return nodeFs.realpath(...args)
      }
    }
  }
  return counts
}

const deep = Array.from({ length: 40 }, (_, n) => `f${n}`).join('/')

test('only the outermost of deep missing folders is looked up', async (t) => {
  const root = emptyFolder(t)
  const counts = counting()
  const files = Array.from({ length: 20 }, (_, n): [string, number] => [`all/${n}/${deep}/file`, 1])
  const storage = new FileStorage({ path: root, partsPath: path.join(root, 'x.parts'), fs: counts.fs })
  await storage.open(
    layoutOf(16_384, files),
    files.map(() => false)
  )
  assert.ok(counts.looks < files.length, `${counts.looks} looks`)
  await storage.select(files.map((_, n) => n === 19))
  await storage.write(19, [Uint8Array.of(7)])
  await storage.close()
  assert.ok(existsSync(path.join(root, 'all/19', deep, 'file')))
})

test('folders are placed below the nearest existing one, and each is looked up once', async (t) => {
  const root = emptyFolder(t)
  mkdirSync(path.join(root, 'a/b'), { recursive: true })
  const counts = counting()
  const places = new FolderPlaces(new RealFolders({ fs: counts.fs, root }))
  const missing = path.join(root, 'a/b/c/d/e')
  const place = { path: missing, exists: false }
  assert.deepEqual(await places.place(missing), place)
  await places.remembering(async () => {
    assert.equal(places.absent(missing), undefined)
    assert.deepEqual(await places.place(missing), place)
    assert.deepEqual(await places.place(path.join(root, 'a/b')), {
      path: path.join(root, 'a/b'),
      exists: true
    })
    const { looks } = counts
    assert.equal(places.absent(missing), missing)
    assert.equal(places.absent(path.join(root, 'a/b/c')), path.join(root, 'a/b/c'))
    assert.equal(places.absent(path.join(root, 'a/b')), undefined)
    assert.deepEqual(await places.place(path.join(root, 'a/b/c/x')), {
      path: path.join(root, 'a/b/c/x'),
      exists: false
    })
    assert.equal(counts.looks, looks)
  })
  // A missing folder may exist by now.
  assert.equal(places.absent(missing), undefined)
  mkdirSync(missing, { recursive: true })
  assert.deepEqual(await places.place(missing), { path: missing, exists: true })
})
