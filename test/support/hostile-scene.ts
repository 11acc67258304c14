import assert from 'node:assert/strict'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import path from 'node:path'
import type { ClientOptions } from '../../lib/client/options.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { openResume } from '../../lib/storage/resume-record.ts'
import { type TreeEntry, treeOf } from './file-tree.ts'
import type { HostileTorrent } from './hostile-torrents.ts'

/** Where records, lists and the user's key are, below the base folder. */
export interface Place {
  readonly options: (data: string) => ClientOptions
  /** `XDG_STATE_HOME`. */
  readonly userState: string
  /** Paths that torrents must not reach, with piecewise's files in them. */
  readonly own: readonly string[]
  /** Target of the user's link in the data folder. */
  readonly shortcut: string
}

/** Texts of the user's files whose bytes hostile torrents have. No torrent's own file has these names. */
export const secrets: ReadonlyMap<string, string> = new Map([
  ['.bashrc', 'alias secret=bashrc\n'.repeat(50)],
  ['.ssh/authorized_keys', 'ssh-ed25519 secret key of the user\n'.repeat(40)],
  ['.piecewise/planted.txt', 'secret beside the records\n'.repeat(40)],
  ['state/planted.txt', 'secret in the state\n'.repeat(40)],
  ['../outside/secret.txt', 'secret outside of the data\n'.repeat(40)]
])
/** Names of the user's files that torrents may have as well. These files are read, but not changed. */
const namesakes = new Set(['notes.txt', 'photos/cat.jpg', 'hard.txt'].map((name) => `data/${name}`))
for (const name of ['old.txt', 'linked.txt', 'hard.txt']) namesakes.add(`outside/${name}`)

/** Makes the user's files, and links to some of them. */
export function furnish(base: string, place: Place): void {
  const write = (name: string, text: string, mode = 0o644): void => {
    mkdirSync(path.dirname(path.join(base, name)), { recursive: true })
    writeFileSync(path.join(base, name), text, { mode })
  }
  const secret = (name: string, at = `data/${name}`): void => write(at, secrets.get(name) ?? '', 0o600)
  secret('.bashrc')
  secret('.ssh/authorized_keys')
  secret('../outside/secret.txt', 'outside/secret.txt')
  for (const folder of place.own) {
    const isRecords = folder.endsWith('.piecewise')
    secret(isRecords ? '.piecewise/planted.txt' : 'state/planted.txt', `${folder}/planted.txt`)
  }
  for (const name of ['.profile', '.config/settings', 'notes.txt', 'photos/cat.jpg'])
    write(`data/${name}`, `the user's ${name}\n`)
  for (const name of ['old.txt', 'linked.txt', 'hard.txt']) write(`outside/${name}`, `the user's ${name}\n`)
  linkSync(path.join(base, 'outside/hard.txt'), path.join(base, 'data/hard.txt'))
  symlinkSync('../outside/linked.txt', path.join(base, 'data/linked.txt'))
  symlinkSync('../outside', path.join(base, 'data/away'))
  symlinkSync('../outside/missing', path.join(base, 'data/nowhere'))
  symlinkSync(place.shortcut, path.join(base, 'data/shortcut'))
}

/** Returns whether a torrent may have a path below the data folder, however it is parsed. */
function isFair(name: string): boolean {
  const elements = name.split('/')
  const isPlain = elements.every((element) => !['', '.', '..'].includes(element) && !/[\\\0]/.test(element))
  return isPlain && !name.startsWith('.') && !elements.some((element) => /^\.piecewise$/i.test(element))
}

/** A folder with the data, the user's files and piecewise's state. */
export interface Scene {
  /** The folder that contains all others. */
  readonly base: string
  readonly data: string
  readonly place: Place
  readonly torrents: readonly HostileTorrent[]
  /** Everything that existed before the hostile torrents. */
  readonly before: ReadonlyMap<string, TreeEntry>
}

/** Returns the real paths of the torrents' own files below the base folder, with their torrents. */
export function ownFiles({ base, data, torrents }: Scene): Map<string, number[]> {
  const own = new Map<string, number[]>()
  for (const [index, { metainfo, title }] of torrents.entries()) {
    for (const { path: name, pad } of metainfo.files) {
      assert.ok(pad || isFair(name), `${title} is called ${name}`)
      if (pad) continue
      const folder = path.dirname(path.join(data, name))
      const real = existsSync(folder)
        ? path.join(realpathSync(folder), path.basename(name))
        : path.join(data, name)
      const at = path.relative(base, real)
      own.set(at, [...(own.get(at) ?? []), index])
    }
  }
  return own
}

/**
 * Returns a predicate: whether neither another torrent nor a file of the user or of piecewise is in the way
 * of a torrent.
 */
export function freedomIn(
  { data, base, place, torrents, before }: Scene,
  own: ReadonlyMap<string, unknown[]>
): (index: number) => boolean {
  const folders = new Set([...own.keys()].flatMap(foldersAbove))
  const isFree = (at: string): boolean =>
    own.get(at)?.length === 1 &&
    !folders.has(at) &&
    !before.has(at) &&
    !place.own.some((folder) => isIn(at, [folder]) || isIn(folder, [at])) &&
    foldersAbove(at).every(
      (folder) => !own.has(folder) && (before.get(folder)?.kind ?? 'folder') === 'folder'
    )
  return (index) => {
    const files = torrents[index]?.metainfo.files ?? []
    return files.every(({ path: name, pad }) => pad || isFree(path.relative(base, path.join(data, name))))
  }
}

function foldersAbove(at: string): string[] {
  const folder = path.dirname(at)
  return folder === '.' ? [] : [folder, ...foldersAbove(folder)]
}

function isIn(at: string, folders: readonly string[]): boolean {
  return folders.some((folder) => at === folder || at.startsWith(`${folder}/`))
}

/** Asserts that a file in one of piecewise's folders is one of its own. */
function assertRecord(base: string, at: string): void {
  const name = path.basename(at)
  assert.match(
    name,
    /^(?:[0-9a-f]{40}\.(?:resume|parts|torrent)(?:\.tmp|\.new)?|client\.(?:session|lock)(?:\.[\w.]+)?|dht\.nodes(?:\.\w+)*|record\.key(?:\.[\w.]+)?)$/,
    at
  )
  const bytes = readFileSync(path.join(base, at))
  assert.ok(!bytes.includes('hostile torrent') || name.includes('.parts'), `${at} is a torrent's`)
  if (name.endsWith('.torrent'))
    assert.equal(Buffer.from(parseTorrent(bytes).infoHashes.v1 ?? []).toString('hex'), name.slice(0, 40), at)
  if (name === 'client.session') assert.match(bytes.toString(), /^piecewise session 1\n/, at)
  if (name.endsWith('.resume')) assert.equal(openResume(bytes).record.infoHash, name.slice(0, 40), at)
}

/** Asserts that only files of torrents and records are new, and that everything else is unchanged. */
export function assertUnharmed(scene: Scene): void {
  const { base, place, before } = scene
  const own = ownFiles(scene)
  const after = treeOf(base)
  for (const [at, entry] of before) {
    if (isIn(at, place.own) && !at.endsWith('planted.txt')) continue
    assert.deepEqual(after.get(at), entry, `${at} is as the user left it`)
  }
  for (const [at, { kind }] of after) {
    if (isIn(at, place.own)) {
      if (kind !== 'folder' && !at.endsWith('planted.txt')) assertRecord(base, at)
      continue
    }
    if (before.has(at)) continue
    const isOwn = kind === 'folder' ? [...own.keys()].some((file) => file.startsWith(`${at}/`)) : own.has(at)
    assert.ok(isOwn || place.own.some((folder) => folder.startsWith(`${at}/`)), `${at} is no torrent's own`)
  }
}

/** Path of the list of files that the program opens. */
export function opensOf(base: string): string {
  return path.join(base, '../opens')
}

/** Asserts that the program opened no file of the user whose name no torrent has. */
export function assertUnread({ base, before, place }: Scene): void {
  const opened = new Set(readFileSync(opensOf(base), 'latin1').split('\n'))
  assert.ok(
    [...before].some(([at, { id }]) => isIn(at, place.own) && opened.has(id)),
    'its own files are found'
  )
  for (const [at, { kind, id }] of before) {
    const isSecret = at.endsWith('planted.txt') || !isIn(at, place.own)
    if (kind !== 'file' || !isSecret || namesakes.has(at) || at.startsWith('data/honest')) continue
    assert.ok(!opened.has(id), `${at} was opened`)
  }
}
