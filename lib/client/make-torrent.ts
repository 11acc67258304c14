import { createHash } from 'node:crypto'
import { readdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { CreateOptions } from '../metainfo/create-options.ts'
import { createFromScan } from '../metainfo/create-torrent.ts'
import { maxTorrentBytes } from '../metainfo/limits.ts'
import { type Scan, scanFiles } from '../metainfo/scan-files.ts'
import { readWhole, replaceFile } from '../storage/atomic-write.ts'
import { nodeFs } from '../storage/storage-fs.ts'
import { asError } from '../util/errors.ts'
import type { SeedOptions } from './add-options.ts'
import { isSeedData, type SeedData, writeSeedData } from './seed-data.ts'

const title = 'piecewise seed 1'
/** Cached torrents per state folder; beyond it, the least recently written are deleted. */
const maxCached = 500

/** Fingerprint of files, to detect whether they have changed since they were hashed. */
export interface Fingerprint {
  /** SHA-256 of the paths and the options of the torrent, in hexadecimal. */
  readonly key: string
  /** SHA-256 of `key` and of each file's size, modification time and inode, in hexadecimal. */
  readonly print: string
}

/** Cache of created torrents in the state folder, so that unchanged files are not hashed again. */
export class SeedCache {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Takes the fingerprint of the files. Call it before they are hashed, so that a later change is detected. */
  async fingerprint({ files }: Scan, options: CreateOptions): Promise<Fingerprint> {
    const { name, pieceLength, trackers, webSeeds, comment, createdBy, creationDate, source } = options
    const made = {
      name,
      pieceLength,
      trackers,
      webSeeds,
      comment,
      createdBy,
      creationDate,
      source,
      private: options.private
    }
    const key = hash([made, files.map(({ diskPath, elements }) => [diskPath, elements])])
    const seen: unknown[] = [key]
    for (const { diskPath } of files) {
      const { size, mtimeNs, ino } = await stat(diskPath, { bigint: true })
      seen.push([size, mtimeNs, ino].map(String))
    }
    return { key, print: hash(seen) }
  }

  /** Returns the .torrent that was created from the same unchanged files, or undefined. */
  async find({ key, print }: Fingerprint): Promise<Uint8Array | undefined> {
    const bytes = await readWhole(nodeFs, this.#path(key), maxTorrentBytes + 1000).catch(() => undefined)
    const line = bytes?.indexOf(10) ?? -1
    if (bytes === undefined || line < 0) return undefined
    const torrent = bytes.subarray(line + 1)
    const head = Buffer.from(bytes.buffer, bytes.byteOffset, line).toString('latin1')
    return head === headOf(print, torrent) ? torrent : undefined
  }

  /** Saves the .torrent that was created from these files. */
  async save({ key, print }: Fingerprint, torrent: Uint8Array): Promise<void> {
    const head = Buffer.from(`${headOf(print, torrent)}\n`)
    await replaceFile(nodeFs, this.#path(key), Buffer.concat([head, torrent]))
    await this.#tidy()
  }

  async #tidy(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith('.seed'))
    if (names.length <= maxCached) return
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#folder, name)
        return { path, at: (await stat(path).catch(() => ({ mtimeMs: 0 }))).mtimeMs }
      })
    )
    files.sort((a, b) => b.at - a.at)
    for (const { path } of files.slice(maxCached)) await unlink(path).catch(() => {})
  }

  #path(key: string): string {
    return join(this.#folder, `${key.slice(0, 40)}.seed`)
  }
}

/** Folders of a client that `seed` needs. */
export interface SeedFolders {
  /** The state folder, in which created torrents are cached; undefined caches nothing. */
  readonly state: string | undefined
  /** Folders that are never shared. */
  readonly apart: readonly string[]
  /** Returns the folder to which bytes and streams are written. */
  folder(): Promise<string>
  onWarning(error: Error): void
}

/** A torrent that was created from existing files. */
export interface MadeTorrent {
  /** The bencoded .torrent. */
  readonly bytes: Uint8Array
  /** The folder that the torrent's paths are relative to. */
  readonly path: string
  /** Absolute path of each file. */
  readonly filePaths: readonly string[]
}

/**
 * Creates a torrent from files and folders, or from data that is first written to a file.
 * @throws TorrentError ERR_METAINFO_CREATE; errors of `folders.folder`; the signal's reason.
 */
export async function makeTorrent(
  source: string | readonly string[] | SeedData,
  options: SeedOptions,
  folders: SeedFolders
): Promise<MadeTorrent> {
  const { name, signal } = options
  const folder = async (): Promise<string> => resolve(options.path ?? (await folders.folder()))
  const paths = isSeedData(source) ? await writeSeedData(source, { name, folder, signal }) : source
  const scan = await scanFiles(paths, options, folders.apart)
  const bytes = await makeOrFind(scan, options, folders)
  const filePaths = scan.files.map(({ diskPath }) => diskPath)
  return { bytes, path: scan.root ?? dirname(filePaths[0] ?? '.'), filePaths }
}

/** Returns the cached .torrent if the files are unchanged, or else creates it. */
async function makeOrFind(
  scan: Scan,
  options: CreateOptions,
  { state, onWarning }: SeedFolders
): Promise<Uint8Array> {
  if (state === undefined) return createFromScan(scan, options)
  const cache = new SeedCache(resolve(state))
  const fingerprint = await cache.fingerprint(scan, options)
  const found = await cache.find(fingerprint)
  if (found !== undefined) return found
  const bytes = await createFromScan(scan, options)
  await cache.save(fingerprint, bytes).catch((thrown) => onWarning(asError(thrown)))
  return bytes
}

function headOf(print: string, torrent: Uint8Array): string {
  return `${title} ${print} ${createHash('sha256').update(torrent).digest('hex')}`
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
