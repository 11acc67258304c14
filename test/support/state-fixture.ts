import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { hostname } from 'node:os'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { layoutOf } from '../../lib/metainfo/layout.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import type { Bench, Sample } from '../torrent/bench.ts'

/** A torrent of a fixture, and the data that the released version had of it. */
export interface FixtureTorrent {
  readonly name: string
  readonly infoHash: string
  /** The magnet link by which it was added, if any. */
  readonly magnet?: string
  /** The .torrent. */
  readonly bytes: Uint8Array
  /** Folder of the data. */
  readonly path: string
  /** Pieces that are complete on disk. */
  readonly pieces: readonly number[]
  /** `[piece, block]` of incomplete pieces in the record. */
  readonly blocks: readonly (readonly [number, number])[]
  /** Bytes of `pieces`, without padding. */
  readonly verifiedLength: number
  /** Bytes of `pieces` and `blocks`, which the released version does not fetch again. */
  readonly keptLength: number
  readonly select?: readonly number[]
  readonly uploaded?: number
  readonly paused?: boolean
  readonly private?: boolean
  /** All trackers: those of the torrent, then those that the program added. */
  readonly trackers: readonly string[]
}

/** A folder as a released version left it, copied to a place of its own. */
export interface StateFixture {
  readonly folder: string
  /** The state folder; undefined where records are in `.piecewise` beside the data. */
  readonly state: string | undefined
  /** Whether the program closed its client; false if it was killed. */
  readonly clean: boolean
  readonly torrents: readonly FixtureTorrent[]
}

interface Case {
  readonly clean: boolean
  readonly state: string | null
  readonly torrents: readonly (Omit<FixtureTorrent, 'bytes'> & { readonly source: string })[]
  /** Seeds of the program: options, and for each file the given path and the path in the torrent. */
  readonly seeds?: readonly {
    readonly options: Record<string, unknown>
    readonly files: readonly (readonly [string, string])[]
  }[]
  /** `mtimeNs` of the data files. */
  readonly times: Readonly<Record<string, string>>
}

interface Manifest {
  readonly version: string
  /** The root folder of the fixture in its records. */
  readonly root: string
  readonly cases: Readonly<Record<string, Case>>
}

function findRoot(): string {
  let folder = import.meta.dirname
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder)
  return folder
}

function folderOf(version: string): string {
  return path.join(findRoot(), 'test/fixtures', `state-${version}`)
}

function manifestOf(version: string): Manifest {
  return JSON.parse(readFileSync(path.join(folderOf(version), 'manifest.json'), 'utf8'))
}

/** Returns the names of the cases of a released version. */
export function fixtureNames(version: string): string[] {
  return Object.keys(manifestOf(version).cases)
}

/**
 * Copies a case of `test/fixtures/state-<version>` to a new folder. Times of files and paths in records are
 * as if the released version had run there. `spoil` flips a bit of a file (a path in the fixture) as if that
 * had happened before.
 */
export function openFixture(
  bench: Bench,
  version: string,
  name: string,
  spoil?: { readonly file: string; readonly offset: number }
): StateFixture {
  const { root, cases } = manifestOf(version)
  const entry = cases[name]
  if (entry === undefined) throw new Error(`there is no case ${name}`)
  const folder = bench.folder()
  const source = path.join(folderOf(version), name)
  const times = new Map<string, string>()
  for (const file of filesIn(source)) {
    const inside = file.replace(/\.gz$/, '')
    const bytes = readFileSync(path.join(source, file))
    const target = path.join(folder, inside)
    mkdirSync(path.dirname(target), { recursive: true })
    const content = file === inside ? bytes : gunzipSync(bytes)
    if (inside === spoil?.file) content[spoil.offset] = (content[spoil.offset] ?? 0) ^ 1
    writeFileSync(target, content)
    const time = entry.times[inside]
    if (time === undefined) continue
    // The system may round to less than a nanosecond's precision, so the record gets the stored time.
    utimesSync(target, Number(time) / 1e9, Number(time) / 1e9)
    times.set(time, String(statSync(target, { bigint: true }).mtimeNs))
  }
  const moved = { from: `${root}/${name}`, to: folder, times }
  for (const file of filesIn(folder)) moveRecord(path.join(folder, file), moved)
  for (const seed of entry.seeds ?? []) moveSeed(path.join(folder, entry.state ?? ''), seed, moved)
  const state = entry.state === null ? undefined : path.join(folder, entry.state)
  const torrents = entry.torrents.map((torrent) => torrentOf(folder, torrent))
  return { folder, state, clean: entry.clean, torrents }
}

/** Writes all data of a fixture's torrent into a folder of its own, for a peer that seeds it. */
export function sampleOf(bench: Bench, { bytes }: FixtureTorrent): Sample {
  const metainfo = parseTorrent(bytes)
  const folder = bench.folder()
  const contents = metainfo.files.map(({ path: name, length, pad }) => {
    if (pad) return Buffer.alloc(length)
    const content = contentOf(path.basename(name), length)
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
    writeFileSync(path.join(folder, name), content)
    return content
  })
  const [first = ''] = readdirSync(folder)
  return {
    root: path.join(folder, first),
    folder,
    bytes,
    metainfo,
    data: new Uint8Array(Buffer.concat(contents))
  }
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.relative(folder, path.join(parentPath, name)).replaceAll('\\', '/'))
}

/** The same content as in make-state.mjs. */
function contentOf(name: string, length: number): Buffer {
  let text = ''
  for (let at = 0; at < length; at += 32) text += `${`${name} ${at}`.slice(-31).padEnd(31)}\n`
  return Buffer.from(text).subarray(0, length)
}

function torrentOf(folder: string, { source, ...entry }: Case['torrents'][number]): FixtureTorrent {
  const bytes = new Uint8Array(readFileSync(path.join(folder, source)))
  const layout = layoutOf(parseTorrent(bytes))
  const verifiedLength = entry.pieces.reduce((sum, piece) => sum + layout.dataSize(piece), 0)
  const blocksLength = entry.blocks.reduce((sum, [piece, block]) => sum + layout.blockSize(piece, block), 0)
  return {
    ...entry,
    bytes,
    path: path.join(folder, entry.path),
    verifiedLength,
    keptLength: verifiedLength + blocksLength
  }
}

// ---- records of 0.1.0, a frozen format ----

interface Moved {
  readonly from: string
  readonly to: string
  /** Recorded times and their replacements. */
  readonly times: ReadonlyMap<string, string>
}

function moveRecord(file: string, moved: Moved): void {
  const rewrite = (change: (text: string) => string): void =>
    writeFileSync(file, change(readFileSync(file, 'utf8')))
  if (file.endsWith('.resume')) {
    rewrite((text) => {
      const body = moveJson(text.slice(text.indexOf('\n') + 1), moved)
      return `piecewise resume 1 ${digest(body)}\n${body}`
    })
  } else if (file.endsWith('client.session')) {
    rewrite((text) =>
      text.replace(/^[0-9a-f]{16} (.*)$/gm, (_, json: string) => {
        const body = moveJson(json, moved)
        return `${digest(body).slice(0, 16)} ${body}`
      })
    )
  } else if (file.endsWith('client.lock')) {
    // The lock must name this machine, as if the killed process had run here.
    rewrite((text) => JSON.stringify({ ...JSON.parse(text), host: hostname() }))
  }
}

function moveJson(json: string, { from, to, times }: Moved): string {
  return JSON.stringify(
    JSON.parse(json, (_, value: unknown) => {
      if (typeof value !== 'string') return value
      if (value.startsWith(`${from}/`)) return path.join(to, value.slice(from.length + 1))
      return times.get(value) ?? value
    })
  )
}

/**
 * The name of a kept .torrent is the hash of paths and options; its first line is the hash of how its files
 * look.
 */
function moveSeed(
  folder: string,
  { options, files }: NonNullable<Case['seeds']>[number],
  moved: Moved
): void {
  const { pieceLength, trackers, creationDate } = options
  const keyIn = (root: string): string =>
    digest(
      JSON.stringify([
        { pieceLength, trackers, creationDate },
        files.map(([given, name]) => [path.join(root, given, name), name.split('/')])
      ])
    )
  const nameIn = (root: string): string => path.join(folder, `${keyIn(root).slice(0, 40)}.seed`)
  const seen: unknown[] = [keyIn(moved.to)]
  for (const [given, name] of files) {
    const { size, mtimeNs, ino } = statSync(path.join(moved.to, given, name), { bigint: true })
    seen.push([size, mtimeNs, ino].map(String))
  }
  const bytes = readFileSync(nameIn(moved.from))
  const torrent = bytes.subarray(bytes.indexOf(10) + 1)
  const head = `piecewise seed 1 ${digest(JSON.stringify(seen))} ${digest(torrent)}\n`
  renameSync(nameIn(moved.from), nameIn(moved.to))
  writeFileSync(nameIn(moved.to), Buffer.concat([Buffer.from(head), torrent]))
}

function digest(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
