import { isUtf8 } from 'node:buffer'
import { readdir, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { fromText, isBytes } from '../util/bytes.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { checkSignal, checkType } from '../util/options.ts'
import { show } from '../util/show.ts'
import { maxPathDepth } from './limits.ts'
import type { FileEntry } from './metainfo.ts'
import { spellsRecordFolder } from './record-folder.ts'
import { padNamePrefix, safeElement, safeName } from './safe-path.ts'
import { uniquePaths } from './unique-paths.ts'

/** Which files to put into a torrent. */
export interface ScanOptions {
  /** Name of the torrent; default: the name of the file or folder, or of the folder that contains all paths. */
  readonly name?: string
  /**
   * Returns whether to leave out a file or folder, by its path relative to the folder given, with `/`. The default leaves out the junk
   * of operating systems, in any case: `.DS_Store`, `.Spotlight-V100`, `.Trashes`, `._*`, `Thumbs.db` and `desktop.ini`. Not called for
   * the paths given themselves.
   */
  readonly ignore?: (path: string) => boolean
  /** Aborts the scan. */
  readonly signal?: AbortSignal
}

/** A file on disk, and its entry in the torrent. */
export interface ScannedFile {
  /** Absolute path on disk. */
  readonly diskPath: string
  /** The path in the torrent, as written into it: elements below the torrent's name, none for a single file. */
  readonly elements: readonly string[]
  /** The file as `parseTorrent` will return it. */
  readonly entry: FileEntry
}

/** The files found for a torrent. */
export interface Scan {
  /** The name as written into the torrent. */
  readonly name: string
  readonly singleFile: boolean
  /**
   * The folder in which each file is at its `entry.path`, so that it can be seeded from there. Undefined when names or folders differ;
   * each file must then be mapped by its `diskPath`.
   */
  readonly root: string | undefined
  /** In torrent order, with offsets. */
  readonly files: readonly ScannedFile[]
}

/** A file found, and its path elements below the path given. */
interface Found {
  readonly diskPath: string
  readonly elements: readonly string[]
  readonly length: number
}

/**
 * Finds the files for a torrent. Walks folders in byte order of the names. Follows symbolic links, except into a folder that
 * contains the link. Includes only regular files, and skips the folders in `excluded`.
 * @throws TorrentError ERR_METAINFO_CREATE when a path cannot be read, a name is not UTF-8, or there are no bytes to share; the signal's
 * reason.
 */
export async function scanFiles(
  paths: string | readonly string[],
  options: ScanOptions = {},
  excluded: readonly string[] = []
): Promise<Scan> {
  checkType('name', options.name, 'string', optionRefusal)
  checkType('ignore', options.ignore, 'function', optionRefusal)
  checkSignal(options.signal, optionRefusal)
  const given = [...new Set(checkPaths(paths).map((one) => path.resolve(one)))]
  const [first] = given
  if (first === undefined) throw refusal('no path is given')
  const name = options.name ?? defaultName(given, first)
  if (safeElement(fromText(name)) !== name && options.name !== undefined) {
    throw refusal(`the option name '${name}' is not a safe file name`)
  }
  const found: Found[] = []
  // The walk skips these as it skips its own parent folders.
  const excludedPaths = await Promise.all(
    excluded.map((folder) => realpath(folder).catch(() => path.resolve(folder)))
  )
  let singleFile = false
  for (const one of given) {
    const stats = await readable(one, () => stat(one))
    if (stats.isDirectory()) {
      const prefix = given.length > 1 ? [path.basename(one)] : []
      await walk(one, prefix, prefix.length, options, excludedPaths, found)
    } else if (stats.isFile()) {
      singleFile = given.length === 1
      found.push({ diskPath: one, elements: singleFile ? [] : [path.basename(one)], length: stats.size })
    } else throw refusal(`'${one}' is neither a file nor a folder`)
  }
  if (found.every(({ length }) => length === 0))
    throw refusal('there are no bytes to share: all files are empty', { paths: given })
  refuseDuplicates(found)
  const files = withEntries(found, name)
  const root = path.dirname(given.length > 1 ? path.dirname(first) : first)
  const inPlace = files.every(({ diskPath, entry }) => path.join(root, ...entry.path.split('/')) === diskPath)
  return { name, singleFile, root: inPlace ? root : undefined, files }
}

/** Returns the error for an invalid option. */
export function optionRefusal(option: string, reason: string): TorrentError {
  return refusal(`option ${option}: ${reason}`, { option })
}

function checkPaths(paths: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(paths) ? paths : [paths]
  return list.map((one) => {
    if (typeof one === 'string' && one !== '') return one
    const isData =
      isBytes(one) || (typeof one === 'object' && one !== null && ('stream' in one || 'pipe' in one))
    throw refusal(
      isData
        ? 'bytes and streams are not paths; pass them to client.seed'
        : `${show(one)} is not the path of a file or folder`
    )
  })
}

function refusal(reason: string, details: Record<string, unknown> = {}, cause?: unknown): TorrentError {
  return new TorrentError('ERR_METAINFO_CREATE', `Cannot make a torrent: ${reason}`, { details, cause })
}

function defaultName(given: readonly string[], first: string): string {
  const parent = path.dirname(first)
  if (!given.every((one) => path.dirname(one) === parent)) {
    throw refusal('the paths are in different folders, so the option name is required')
  }
  const name = path.basename(given.length > 1 ? parent : first)
  if (name === '') throw refusal(`'${first}' has no name, so the option name is required`)
  return name
}

async function readable<T>(diskPath: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw refusal(`'${diskPath}' cannot be read: ${asError(error).message}`, { path: diskPath }, error)
  }
}

const junk = /^(?:\.DS_Store|\._.*|\.Spotlight-V100|\.Trashes|Thumbs\.db|desktop\.ini)$/i

function isJunk(relative: string): boolean {
  return junk.test(relative.slice(relative.lastIndexOf('/') + 1))
}

async function walk(
  folder: string,
  elements: readonly string[],
  skipped: number,
  options: ScanOptions,
  ancestors: readonly string[],
  found: Found[]
): Promise<void> {
  const { ignore = isJunk, signal } = options
  signal?.throwIfAborted()
  const real = await readable(folder, () => realpath(folder))
  if (ancestors.includes(real)) return
  // Names may not be valid text, so they are read as bytes.
  const names = await readable(folder, () => readdir(folder, { encoding: 'buffer' }))
  names.sort(Buffer.compare)
  const wanted: string[] = []
  for (const raw of names) {
    if (!isUtf8(raw)) {
      throw refusal(`a name in '${folder}' is not valid UTF-8: '${raw.toString('latin1')}'`, { path: folder })
    }
    const name = raw.toString('utf8')
    // Other programs would treat a file of that name as padding.
    if (name.startsWith(padNamePrefix)) continue
    // Resume records contain peers, and trackers with passkeys.
    if (spellsRecordFolder(name)) continue
    if (!ignore([...elements.slice(skipped), name].join('/'))) wanted.push(name)
  }
  const stats = await Promise.all(
    wanted.map((name) => path.join(folder, name)).map((one) => readable(one, () => stat(one)))
  )
  for (const [n, name] of wanted.entries()) {
    const diskPath = path.join(folder, name)
    const below = [...elements, name]
    if (below.length > maxPathDepth)
      throw refusal(`'${diskPath}' is nested deeper than ${maxPathDepth} folders`)
    if (stats[n]?.isDirectory()) await walk(diskPath, below, skipped, options, [...ancestors, real], found)
    else if (stats[n]?.isFile()) found.push({ diskPath, elements: below, length: stats[n].size })
  }
}

function refuseDuplicates(found: readonly Found[]): void {
  const seen = new Map<string, string>()
  for (const { elements, diskPath } of found) {
    const inTorrent = elements.join('/')
    const other = seen.get(inTorrent)
    if (other !== undefined) throw refusal(`'${other}' and '${diskPath}' would both be '${inTorrent}'`)
    seen.set(inTorrent, diskPath)
  }
}

function withEntries(found: readonly Found[], name: string): ScannedFile[] {
  const paths = uniquePaths(
    found.map(({ elements }) => ({
      elements: [
        safeName(fromText(name)) ?? '_',
        ...elements.map((element) => safeElement(fromText(element)) ?? '_')
      ],
      lowPriority: false
    }))
  )
  let offset = 0
  return found.map(({ diskPath, elements, length }, n) => {
    const inTorrent = paths[n] ?? ''
    const entry: FileEntry = {
      path: inTorrent,
      name: inTorrent.slice(inTorrent.lastIndexOf('/') + 1),
      length,
      offset,
      pad: false,
      executable: false,
      hidden: false
    }
    offset += length
    return { diskPath, elements, entry }
  })
}
