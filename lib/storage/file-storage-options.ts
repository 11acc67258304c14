import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import type { StorageLink } from './storage.ts'
import type { StorageClaims } from './storage-claims.ts'
import type { StorageFs } from './storage-fs.ts'

/** How a `FileStorage` is set up. */
export interface FileStorageOptions {
  /** Folder under which the torrent's paths lie; made with the first file. */
  readonly path: string
  /** Absolute path of each file of the layout, for files that lie in different folders; `path` is then not used. */
  readonly files?: readonly string[]
  /** The file that keeps bytes of unwanted files; it appears only when there are such bytes. */
  readonly partsPath: string
  /** Most files that are open at a time. Default 32. */
  readonly maxOpenFiles?: number
  /** Nothing is created, written or claimed; writes reject with ERR_STORAGE_ACCESS. */
  readonly readOnly?: boolean
  /** Mode of the root folder when it is made, before the umask. Default 0o777. */
  readonly folderMode?: number
  /** Paths that an earlier storage of this torrent reported as its `created`. */
  readonly created?: readonly string[]
  /** Links that an earlier storage of this torrent reported as its `links`; without it, all links found are new. */
  readonly links?: readonly StorageLink[]
  /** Folders of other files than the torrent's, such as resume records: no file of the torrent may be there or be read there. */
  readonly reserved?: readonly string[]
  /** @internal Saves a record that names the files in `owned`, before the first of them is written. */
  readonly onOwning?: () => Promise<void>
  /** Shared with the other storages of the process, so that no two write to one file. */
  readonly claims?: StorageClaims
  /** Instead of the real file system. */
  readonly fs?: StorageFs
}

/** Throws for options that cannot be used. */
export function checkOptions(options: FileStorageOptions): void {
  const given: unknown = options
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw optionError('options', given, 'must be an object with path and partsPath')
  const { maxOpenFiles = 32 } = options
  for (const option of ['path', 'partsPath'] as const) {
    const text: unknown = options[option]
    if (typeof text !== 'string' || text === '') throw optionError(option, text, 'must be a path')
  }
  if (!Number.isInteger(maxOpenFiles) || maxOpenFiles < 1) {
    throw new RangeError(`maxOpenFiles must be a positive integer, not ${show(maxOpenFiles)}`)
  }
}

function optionError(option: string, value: unknown, reason: string): TorrentError {
  return new TorrentError('ERR_STORAGE_OPTION', `option ${option}: ${show(value)} ${reason}`, {
    details: { option }
  })
}
