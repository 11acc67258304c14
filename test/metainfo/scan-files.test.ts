import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { type ScanOptions, scanFiles } from '../../lib/metainfo/scan-files.ts'

let home = ''

/** Makes files of the given sizes below a folder of their own. Returns that folder. */
function tree(files: Record<string, number>): string {
  const folder = mkdtempSync(path.join(home, 't-'))
  for (const [name, length] of Object.entries(files)) {
    const file = path.join(folder, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, new Uint8Array(length))
  }
  return folder
}

async function found(paths: string | string[], options?: ScanOptions): Promise<string[]> {
  return (await scanFiles(paths, options)).files.map(({ entry }) => entry.path)
}

before(() => {
  home = mkdtempSync(path.join(tmpdir(), 'piecewise-scan-'))
})
after(() => rmSync(home, { recursive: true, force: true }))

test('a folder, in the byte order of its names', async () => {
  const folder = path.join(tree({ 'd/b': 3, 'd/a/z': 1, 'd/a/é': 2, 'd/C': 4, 'd/a.txt': 0 }), 'd')
  const scan = await scanFiles(folder)
  assert.equal(scan.name, 'd')
  assert.equal(scan.singleFile, false)
  assert.equal(scan.root, path.dirname(folder))
  assert.deepEqual(
    scan.files.map(({ entry }) => [entry.path, entry.offset, entry.length]),
    [
      ['d/C', 0, 4],
      ['d/a/z', 4, 1],
      ['d/a/é', 5, 2],
      ['d/a.txt', 7, 0],
      ['d/b', 7, 3]
    ]
  )
  assert.deepEqual(scan.files[1]?.elements, ['a', 'z'])
  assert.equal(scan.files[1]?.diskPath, path.join(folder, 'a', 'z'))
})

test('a single file', async () => {
  const folder = tree({ 'movie.mkv': 5 })
  const scan = await scanFiles([path.join(folder, 'movie.mkv'), path.join(folder, 'x', '..', 'movie.mkv')])
  assert.deepEqual([scan.name, scan.singleFile, scan.root, scan.files.length], ['movie.mkv', true, folder, 1])
  assert.deepEqual(scan.files[0]?.elements, [])
})

test('several paths of one folder take its name and can be seeded in place', async () => {
  const folder = tree({ 'set/a': 1, 'set/d/x': 1, 'set/other': 1 })
  const paths = [path.join(folder, 'set', 'd'), path.join(folder, 'set', 'a')]
  const scan = await scanFiles(paths)
  assert.equal(scan.name, 'set')
  assert.equal(scan.root, folder)
  assert.deepEqual(
    scan.files.map(({ entry }) => entry.path),
    ['set/d/x', 'set/a']
  )
})

test('paths of different folders, or another name, are mapped one by one', async () => {
  const folder = tree({ 'p/a': 1, 'q/b': 1 })
  const scan = await scanFiles([path.join(folder, 'p/a'), path.join(folder, 'q/b')], { name: 'both' })
  assert.equal(scan.root, undefined)
  assert.deepEqual(
    scan.files.map(({ entry }) => entry.path),
    ['both/a', 'both/b']
  )
  const renamed = await scanFiles(path.join(folder, 'p'), { name: 'new' })
  assert.deepEqual([renamed.root, renamed.files[0]?.entry.path], [undefined, 'new/a'])
})

test('files with sanitized names are mapped one by one', async () => {
  const folder = path.join(tree({ 'd/a\u202eb': 1 }), 'd')
  const scan = await scanFiles(folder)
  assert.equal(scan.root, undefined)
  assert.deepEqual(scan.files[0]?.elements, ['a\u202eb'])
  assert.equal(scan.files[0]?.entry.path, 'd/ab')
})

test('junk and our own records are left out, dot-files are not', async () => {
  const files = {
    'd/.piecewise/x.resume': 1,
    'd/s/.Piecewise/x.resume': 1,
    'd/.DS_Store': 1,
    'd/.htaccess': 1,
    'd/s/Thumbs.db': 1,
    'd/s/._x': 1,
    'd/_____padding_file_0': 1
  }
  const folder = path.join(tree(files), 'd')
  assert.deepEqual(await found(folder), ['d/.htaccess'])
  assert.equal((await found(folder, { ignore: () => false })).length, 4)
  assert.deepEqual(await found(path.join(folder, '.DS_Store')), ['_DS_Store'])
})

test('ignore gets paths relative to the folder and prunes folders', async () => {
  const folder = tree({ 'd/a/b': 1, 'd/skip/x': 1, 'd/y': 1, 'e/skip/z': 1, 'e/w': 1 })
  const asked: string[] = []
  const ignore = (relative: string): boolean => {
    asked.push(relative)
    return relative === 'skip'
  }
  assert.deepEqual(await found(path.join(folder, 'd'), { ignore }), ['d/a/b', 'd/y'])
  assert.deepEqual(asked, ['a', 'skip', 'y', 'a/b'])
  const both = [path.join(folder, 'd'), path.join(folder, 'e')]
  assert.deepEqual(await found(both, { ignore, name: 'n' }), ['n/d/a/b', 'n/d/y', 'n/e/w'])
})

test('symbolic links are followed, but not in cycles', async () => {
  const folder = tree({ 'd/a': 1, 'out/b': 2 })
  symlinkSync(path.join(folder, 'd'), path.join(folder, 'd', 'loop'))
  symlinkSync(path.join(folder, 'out'), path.join(folder, 'd', 'out'))
  symlinkSync(path.join(folder, 'd'), path.join(folder, 'out', 'back'))
  assert.deepEqual(await found(path.join(folder, 'd')), ['d/a', 'd/out/b'])
})

test('a folder as deep as torrents may be', async () => {
  const deep = Array(99).fill('d').join('/')
  assert.equal((await found(tree({ [`${deep}/f`]: 1 }))).length, 1)
  await assert.rejects(found(tree({ [`${deep}/d/f`]: 1 })), {
    code: 'ERR_METAINFO_CREATE',
    message: /nested deeper/
  })
})

const refused: [string, () => string | string[], ScanOptions, RegExp][] = [
  ['no paths', () => [], {}, /no path/],
  ['a path that is not there', () => path.join(home, 'missing'), {}, /missing' cannot be read/],
  ['an empty folder', () => tree({}), {}, /no bytes/],
  ['only empty files', () => tree({ a: 0, b: 0 }), {}, /no bytes/],
  ['an unsafe name', () => tree({ a: 1 }), { name: '../x' }, /name '\.\.\/x'/],
  ['an empty name', () => tree({ a: 1 }), { name: '' }, /name ''/],
  [
    'different folders without a name',
    () => [tree({ a: 1 }), path.join(tree({ b: 1 }), 'b')].map((p, n) => (n ? p : path.join(p, 'a'))),
    {},
    /option name/
  ],
  [
    'two files of one name',
    () => [path.join(tree({ a: 1 }), 'a'), path.join(tree({ a: 1 }), 'a')],
    { name: 'n' },
    /both be 'a'/
  ]
]
for (const [what, make, options, message] of refused) {
  test(`refuses ${what}`, async () => {
    await assert.rejects(scanFiles(make(), options), { code: 'ERR_METAINFO_CREATE', message })
  })
}

test('refuses a dangling link and names it', async () => {
  const folder = tree({ a: 1 })
  symlinkSync(path.join(folder, 'nowhere'), path.join(folder, 'dangling'))
  await assert.rejects(scanFiles(folder), {
    code: 'ERR_METAINFO_CREATE',
    message: /dangling' cannot be read/
  })
})

// Only Linux file systems accept such names.
if (process.platform === 'linux') {
  test('refuses a name that is not UTF-8', async () => {
    const folder = tree({ a: 1 })
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/x`), Buffer.of(0xff)]), 'x')
    await assert.rejects(scanFiles(folder), { code: 'ERR_METAINFO_CREATE', message: /not valid UTF-8: 'xÿ'/ })
  })
}

test('an aborted scan stops', async () => {
  const reason = new Error('enough')
  await assert.rejects(scanFiles(tree({ a: 1 }), { signal: AbortSignal.abort(reason) }), reason)
})
