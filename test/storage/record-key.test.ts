import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type KeyFs, keyFileName, keyFs, RecordKey } from '../../lib/storage/record-key.ts'

const posix = process.platform !== 'win32'

/** Runs a test with the path of a state folder that does not exist yet. */
function keyTest(title: string, body: (folder: string) => Promise<void>): void {
  test(title, async () => {
    const base = mkdtempSync(join(tmpdir(), 'piecewise-key-'))
    try {
      await body(join(base, 'user', 'piecewise'))
    } finally {
      rmSync(base, { recursive: true, force: true })
    }
  })
}

function failing(code: string): () => Promise<never> {
  return () => Promise.reject(Object.assign(new Error(code), { code }))
}

keyTest('the key is made once, readable by its owner alone, and found again', async (folder) => {
  assert.equal(await new RecordKey(folder).find(), undefined)
  assert.throws(() => statSync(folder), 'looking up a key makes nothing')
  const key = await new RecordKey(folder).findOrMake()
  assert.equal(key?.length, 32)
  assert.deepEqual(await new RecordKey(folder).find(), key)
  assert.deepEqual(await new RecordKey(folder).findOrMake(), key)
  assert.deepEqual(readdirSync(folder), [keyFileName])
  if (!posix) return
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.equal(statSync(join(folder, keyFileName)).mode & 0o777, 0o600)
})

keyTest('concurrent makers agree, with and without hard links', async (folder) => {
  const makers = Array.from({ length: 20 }, () => new RecordKey(folder))
  const keys = await Promise.all(makers.map((maker) => maker.findOrMake()))
  for (const key of keys) assert.deepEqual(key, keys[0])
  const other = `${folder}2`
  const without: KeyFs = { ...keyFs, link: failing('EPERM') }
  const made = await new RecordKey(other, without).findOrMake()
  assert.equal(made?.length, 32)
  assert.deepEqual(await new RecordKey(other).find(), made)
  assert.deepEqual(readdirSync(other), [keyFileName])
})

keyTest('a torn key is replaced', async (folder) => {
  await new RecordKey(folder).findOrMake()
  writeFileSync(join(folder, keyFileName), 'short')
  assert.equal(await new RecordKey(folder).find(), undefined)
  const key = await new RecordKey(folder).findOrMake()
  assert.equal(key?.length, 32)
  assert.deepEqual(await new RecordKey(folder).find(), key)
})

const unfit: readonly (readonly [string, (folder: string, file: string) => void])[] = [
  ['that others may read', (_, file) => chmodSync(file, 0o640)],
  ['in a folder that others may write to', (folder) => chmodSync(folder, 0o770)],
  [
    'that is a link',
    (folder, file) => {
      linkSync(file, join(folder, 'elsewhere'))
      rmSync(file)
      symlinkSync(join(folder, 'elsewhere'), file)
    }
  ],
  [
    'that is a folder',
    (_, file) => {
      rmSync(file)
      mkdirSync(file)
    }
  ]
]
for (const [what, spoil] of unfit) {
  keyTest(`a key ${what} is not used, and left as it is`, async (folder) => {
    if (!posix) return
    await new RecordKey(folder).findOrMake()
    const file = join(folder, keyFileName)
    spoil(folder, file)
    const before = readdirSync(folder)
    assert.equal(await new RecordKey(folder).find(), undefined)
    assert.equal(await new RecordKey(folder).findOrMake(), undefined)
    assert.deepEqual(readdirSync(folder), before)
  })
}

keyTest('a key of another user is not used', async (folder) => {
  if (!posix) return
  await new RecordKey(folder).findOrMake()
  const others: KeyFs = {
    ...keyFs,
    lstat: async (path, options) => Object.assign(await keyFs.lstat(path, options), { uid: 4321n })
  }
  assert.equal(await new RecordKey(folder, others).find(), undefined)
  assert.equal(await new RecordKey(folder, others).findOrMake(), undefined)
})

keyTest('without a folder, or with a read-only one, there is no key and no error', async (folder) => {
  assert.equal(await new RecordKey(undefined).findOrMake(), undefined)
  for (const [name, code] of [
    ['mkdir', 'EROFS'],
    ['open', 'ENOSPC'],
    ['rename', 'EIO']
  ] as const) {
    const fs: KeyFs = { ...keyFs, link: failing('EPERM'), [name]: failing(code) }
    assert.equal(await new RecordKey(`${folder}-${name}`, fs).findOrMake(), undefined)
  }
  assert.deepEqual(readdirSync(`${folder}-rename`), [], 'nothing is left')
})

test('a process without a home folder has no key', () => {
  const script = `
    const { userStateFolder } = await import(${JSON.stringify(new URL('../../lib/util/state-folder.js', import.meta.url).href)})
    console.log(String(userStateFolder()))`
  const run = (env: NodeJS.ProcessEnv): string =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env,
      encoding: 'utf8'
    }).stdout.trim()
  if (posix) assert.equal(run({ HOME: '' }), 'undefined')
  assert.equal(
    run({ XDG_STATE_HOME: '/s', LOCALAPPDATA: 'C:\\s' }),
    posix ? '/s/piecewise' : 'C:\\s\\piecewise'
  )
})
