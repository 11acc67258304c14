import { rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FileStorage } from '../storage/file-storage.ts'
import type { FileStorageOptions } from '../storage/file-storage-options.ts'
import type { ResumeRecord } from '../storage/resume-record.ts'
import type { TorrentHost } from './torrent-host.ts'

/** Where the data of a torrent lies, and what is written beside it. */
export interface DataFolder {
  /** Folder below which the files lie. */
  readonly path: string
  /** Absolute path of each file of the layout, when they lie elsewhere. */
  readonly filePaths?: readonly string[] | undefined
  /** Mode of the root folder when it is made. */
  readonly folderMode?: number | undefined
  /** Folder for the resume record; undefined keeps none. */
  readonly state: string | undefined
  /** Nothing is believed of the last run, so that links count as new. */
  readonly verify?: boolean | undefined
}

/** Whether the files lie in the folder by the names that the torrent gives them. */
export function isByName({ filePaths, storage }: DataFolder & { readonly storage?: unknown }): boolean {
  return filePaths === undefined && storage === undefined
}

/**
 * Files in that folder, of which the last run's `record` tells which are ours; `infoHash` is in hexadecimal. With `readOnly` nothing
 * is written or claimed; `onOwning` saves a record that names files which are about to be written.
 */
export function storageIn(
  { path, filePaths, folderMode, state, verify }: DataFolder,
  infoHash: string,
  { claims, reserved }: Pick<TorrentHost, 'claims' | 'reserved'>,
  record: ResumeRecord | undefined,
  { readOnly = false, onOwning }: Pick<FileStorageOptions, 'readOnly' | 'onOwning'> = {}
): FileStorage {
  return new FileStorage({
    path,
    partsPath: join(state ?? path, `${infoHash}.parts`),
    claims,
    readOnly,
    reserved: state === undefined ? reserved : [...reserved, state],
    ...(onOwning === undefined ? {} : { onOwning }),
    // In another folder files of these names are other files.
    ...(record?.path !== path ? {} : { created: record.created }),
    // In another folder all links are new.
    ...(record?.links === undefined || record.path !== path || verify === true
      ? {}
      : { links: record.links }),
    ...(filePaths === undefined ? {} : { files: filePaths }),
    ...(folderMode === undefined ? {} : { folderMode })
  })
}

/**
 * Removes the folder of the records when it lies beside the data, as it would keep the folder of the data from going; and that one
 * too when it is `ours`. A folder in which something is left stays.
 */
export async function removeEmptyFolders({ path, state }: DataFolder, ours: boolean): Promise<void> {
  if (state === undefined || dirname(state) !== path) return
  await rmdir(state).catch(() => {})
  if (ours) await rmdir(path).catch(() => {})
}
