import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { DefaultFolders } from '../../lib/client/default-folders.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { addressOf, assertSame, Bench, type Sample } from '../torrent/bench.ts'

const infoHash = '0123456789abcdef0123456789abcdef01234567'
const uid = process.geteuid?.() ?? 0

interface Rig {
  /** Replaces the OS folder for temporary files. */
  readonly temporary: string
  readonly usual: string
  readonly old: string
  readonly warnings: TorrentError[]
  folders(): DefaultFolders
}

/** Makes a rig. `owner` is the user that the folders must belong to. */
function rigOf(t: TestContext, owner = uid): Rig {
  const temporary = new Bench(t).folder()
  const warnings: TorrentError[] = []
  return {
    temporary,
    usual: path.join(temporary, `piecewise-${owner}`),
    old: path.join(temporary, 'piecewise'),
    warnings,
    folders: () =>
      new DefaultFolders({
        temporary,
        uid: owner,
        onWarning: (warning) => {
          assert.ok(warning instanceof TorrentError)
          warnings.push(warning)
        }
      })
  }
}

function folder(name: string, mode = 0o700): void {
  mkdirSync(name, { recursive: true })
  chmodSync(name, mode)
}

test('a private folder is made and used again', async (t) => {
  const { usual, warnings, folders } = rigOf(t)
  assert.equal(await folders().find(infoHash), path.join(usual, infoHash))
  assert.equal(statSync(usual).mode & 0o777, 0o700)
  assert.equal(await folders().find(infoHash), path.join(usual, infoHash))
  assert.deepEqual(warnings, [])
})

test('the name of a default folder is returned without making the folder', async (t) => {
  const { usual, folders } = rigOf(t)
  assert.equal(folders().name(infoHash), path.join(usual, infoHash))
  assert.equal(existsSync(usual), false)
})

test('a missing folder for temporary files is made', async (t) => {
  const { temporary } = rigOf(t)
  const folders = new DefaultFolders({ temporary: path.join(temporary, 'a/b'), uid, onWarning: assert.fail })
  assert.equal(await folders.find(infoHash), path.join(temporary, 'a/b', `piecewise-${uid}`, infoHash))
})

const taken: Record<string, (rig: Rig) => void> = {
  'a link to a folder of ours': ({ usual, temporary }) => {
    folder(path.join(temporary, 'home'))
    symlinkSync('home', usual)
  },
  'a dangling link': ({ usual }) => symlinkSync('nowhere', usual),
  'a file': ({ usual }) => writeFileSync(usual, ''),
  'a folder that all may write to': ({ usual }) => folder(usual, 0o777),
  'a folder that the group may write to': ({ usual }) => folder(usual, 0o770),
  'a folder that all may list': ({ usual }) => folder(usual, 0o744),
  'a folder that all may enter': ({ usual }) => folder(usual, 0o711)
}

for (const [title, take] of Object.entries(taken)) {
  test(`instead of ${title} a new private folder is used, and a warning names it`, async (t) => {
    const rig = rigOf(t)
    take(rig)
    await usesFresh(rig, rig.folders())
  })
}

test('instead of a folder of another user a new private folder is used, and a warning names it', async (t) => {
  const rig = rigOf(t, uid + 1)
  folder(rig.usual)
  await usesFresh(rig, rig.folders())
})

async function usesFresh({ temporary, usual, warnings }: Rig, folders: DefaultFolders): Promise<void> {
  const before = readdirSync(temporary)
  const found = await folders.find(infoHash)
  const fresh = path.dirname(found)
  assert.match(path.relative(temporary, fresh), /^piecewise-\d+-\w{6}$/)
  assert.equal(statSync(fresh).mode & 0o777, 0o700)
  assert.equal(path.dirname(await folders.find('f'.repeat(40))), fresh)
  assert.equal(warnings.length, 1)
  assert.equal(warnings[0]?.code, 'ERR_STORAGE_PATH')
  assert.deepEqual(warnings[0]?.details, { path: usual, folder: fresh })
  assert.ok(warnings[0]?.message.includes(fresh))
  assert.deepEqual(readdirSync(temporary).sort(), [...before, path.basename(fresh)].sort())
}

test('without a private folder there is an error', async (t) => {
  const { temporary } = rigOf(t)
  writeFileSync(path.join(temporary, 'file'), '')
  const folders = new DefaultFolders({ temporary: path.join(temporary, 'file'), uid, onWarning: assert.fail })
  await assert.rejects(folders.find(infoHash), { code: 'ERR_STORAGE_PATH' })
})

const olds: Record<string, { make(rig: Rig): void; used: boolean }> = {
  'with data, as 0.1.0 made it': { make: ({ old }) => folder(path.join(old, infoHash)), used: true },
  'that others may read': {
    make: ({ old }) => {
      folder(path.join(old, infoHash), 0o755)
      chmodSync(old, 0o755)
    },
    used: true
  },
  'without the torrent': { make: ({ old }) => folder(path.join(old, 'f'.repeat(40))), used: false },
  'that is a link': {
    make: ({ old, temporary }) => {
      folder(path.join(temporary, 'home', infoHash))
      symlinkSync('home', old)
    },
    used: false
  },
  'in which the torrent is a link': {
    make: ({ old, temporary }) => {
      folder(path.join(temporary, 'home'))
      folder(old)
      symlinkSync('../home', path.join(old, infoHash))
    },
    used: false
  },
  'that all may write to': {
    make: ({ old }) => {
      folder(path.join(old, infoHash))
      chmodSync(old, 0o1777)
    },
    used: false
  },
  'in which all may write to that of the torrent': {
    make: ({ old }) => {
      folder(path.join(old, infoHash), 0o777)
      chmodSync(old, 0o700)
    },
    used: false
  },
  'while there are data in the new one too': {
    make: ({ old, usual }) => {
      folder(path.join(old, infoHash))
      folder(path.join(usual, infoHash))
      chmodSync(usual, 0o700)
    },
    used: false
  }
}

for (const [title, { make, used }] of Object.entries(olds)) {
  test(`the folder of 0.1.0 ${title} is ${used ? '' : 'not '}used`, async (t) => {
    const rig = rigOf(t)
    make(rig)
    const expected = path.join(used ? rig.old : rig.usual, infoHash)
    assert.equal(await rig.folders().find(infoHash), expected)
    assert.deepEqual(rig.warnings, [])
  })
}

test('the folder of 0.1.0 is not used when it belongs to another user', async (t) => {
  const rig = rigOf(t, uid + 1)
  folder(path.join(rig.old, infoHash))
  folder(rig.usual)
  await usesFresh(rig, rig.folders())
})

test('the folder of an earlier run is used as long as it is private', async (t) => {
  const { temporary, usual, folders } = rigOf(t)
  const before = path.join(temporary, 'piecewise-abcdef', infoHash)
  folder(before)
  chmodSync(path.dirname(before), 0o700)
  assert.equal(await folders().find(infoHash, before), before)
  chmodSync(path.dirname(before), 0o777)
  assert.equal(await folders().find(infoHash, before), path.join(usual, infoHash))
})

test('on Windows the folder has no user in its name, and everything but a link is used', async (t) => {
  const { temporary, old, warnings } = rigOf(t)
  const windows = new DefaultFolders({
    temporary,
    uid: false,
    onWarning: (warning) => warnings.push(warning as TorrentError)
  })
  assert.equal(await windows.find(infoHash), path.join(old, infoHash))
  chmodSync(old, 0o777)
  assert.equal(await windows.find(infoHash), path.join(old, infoHash))
  rmSync(old, { recursive: true })
  folder(path.join(temporary, 'home'))
  symlinkSync('home', old)
  assert.match(path.relative(temporary, await windows.find(infoHash)), /^piecewise-\w{6}.[0-9a-f]{40}$/)
  assert.equal(warnings.length, 1)
})

/** Starts a client on loopback whose folder for temporary files is `temporary`. */
function withTemporary(t: TestContext, bench: Bench): string {
  const before = process.env['TMPDIR']
  const temporary = bench.folder()
  process.env['TMPDIR'] = temporary
  t.after(() => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  })
  return temporary
}

async function download(
  bench: Bench,
  sample: Sample,
  state?: string
): Promise<{ path: string; warnings: Error[] }> {
  const { client: seeder } = await bench.seeder(sample)
  const warnings: Error[] = []
  const client = bench.client({ path: undefined, state })
  client.on('warning', (warning) => warnings.push(warning))
  const torrent = await client.add(sample.bytes, { peers: [addressOf(seeder)] })
  await torrent.whenDone()
  assertSame(torrent, sample)
  await client.close()
  await seeder.close()
  return { path: torrent.path, warnings }
}

test('a download without a path goes where no other user can write, and torrent.path names the folder', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a/b': 50_000 })
  const hash = Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex')
  const temporary = withTemporary(t, bench)
  const usual = path.join(temporary, `piecewise-${uid}`)
  const home = path.join(temporary, 'home')
  folder(home)
  // Another user comes first, and has a link to our home where 0.1.0 writes.
  folder(path.join(temporary, 'piecewise'), 0o777)
  symlinkSync(home, path.join(temporary, 'piecewise', hash))

  const first = await download(bench, sample)
  assert.deepEqual(first, { path: path.join(usual, hash), warnings: [] })

  chmodSync(usual, 0o777)
  const second = await download(bench, sample)
  assert.match(path.relative(temporary, second.path), new RegExp(`^piecewise-\\d+-\\w{6}.${hash}$`))
  assert.equal(second.warnings.length, 1)
  assert.deepEqual(readdirSync(home), [])
})

test('after a restart a default folder that another user has taken meanwhile is not used', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a/b': 50_000 })
  const temporary = withTemporary(t, bench)
  const usual = path.join(temporary, `piecewise-${uid}`)
  const state = bench.folder()
  const first = await download(bench, sample, state)
  assert.equal(path.dirname(first.path), usual)

  chmodSync(usual, 0o777)
  const client = bench.client({ path: undefined, state })
  const warnings: TorrentError[] = []
  client.on('warning', (warning) => warnings.push(warning as TorrentError))
  const [torrent] = await client.restored()
  assert.ok(torrent)
  assert.notEqual(path.dirname(torrent.path), usual)
  assert.deepEqual(
    warnings.map(({ code, details }) => [code, details['folder']]),
    [['ERR_STORAGE_PATH', path.dirname(torrent.path)]]
  )
  assert.equal(torrent.progress, 0)
})

test('adding a torrent twice at once without a path gives one torrent', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a/b': 50_000 })
  withTemporary(t, bench)
  const client = bench.client({ path: undefined })
  const [one, two] = await Promise.all([client.add(sample.bytes), client.add(sample.bytes)])
  assert.equal(one, two)
  assert.equal(client.torrents.length, 1)
})
