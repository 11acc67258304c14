import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import type { StorageLink } from './storage.ts'
import type { StorageClaims } from './storage-claims.ts'
import type { StorageFs } from './storage-fs.ts'

/** Options of a `FileStorage`. */
export interface FileStorageOptions {
  /** Folder that contains the torrent's paths; created with the first file. */
  readonly path: string
  /** Absolute path of each file of the layout, for files in different folders; `path` is then unused. */
  readonly files?: readonly string[]
  /** File for bytes of unwanted files; created only when there are such bytes. */
  readonly partsPath: string
  /** Maximum number of open files. Default 32. */
  readonly maxOpenFiles?: number
  /** Creates, writes and claims nothing; writes reject with ERR_STORAGE_ACCESS. */
  readonly readOnly?: boolean
  /** Mode of the root folder when it is created, before the umask. Default 0o777. */
  readonly folderMode?: number
  /** Paths that an earlier storage of this torrent reported as `created`. */
  readonly created?: readonly string[]
  /** Symbolic links that an earlier storage of this torrent reported as `links`; without it, all symbolic links count as new. */
  readonly links?: readonly StorageLink[]
  /** Folders for other data, such as resume records: files of the torrent may not be in them or be read from them. */
  readonly reserved?: readonly string[]
  /** @internal Saves a resume record that names the files in `owned`, before the first of them is written. */
  readonly onOwning?: () => Promise<void>
  /** Shared with the other storages of the process, so that no two write to the same file. */
  readonly claims?: StorageClaims
  /** Replaces the real file system. */
  readonly fs?: StorageFs
}

/** Throws for unusable options. */
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
