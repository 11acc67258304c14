import { rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FileStorage } from '../storage/file-storage.ts'
import type { FileStorageOptions } from '../storage/file-storage-options.ts'
import type { ResumeRecord } from '../storage/resume-record.ts'
import type { TorrentHost } from './torrent-host.ts'

/** Folders and paths of a torrent's data and resume record. */
export interface DataFolder {
  /** Folder that contains the torrent's files. */
  readonly path: string
  /** Absolute path of each file of the layout, for data that is seeded in place. */
  readonly filePaths?: readonly string[] | undefined
  /** Mode with which `path` is created; default: the OS default. */
  readonly folderMode?: number | undefined
  /** Folder for the resume record; undefined saves none. */
  readonly state: string | undefined
  /** Whether the symbolic links in the last resume record are ignored and those on disk accepted. */
  readonly verify?: boolean | undefined
}

/** Returns whether the files are in the data folder under the torrent's names. */
export function isByName({ filePaths, storage }: DataFolder & { readonly storage?: unknown }): boolean {
  return filePaths === undefined && storage === undefined
}

/**
 * Returns a file storage for the folder. `record`, of the last run, names the files that this torrent has created; `infoHash` is in
 * hexadecimal. With `readOnly`, nothing is written or locked. `onOwning` saves a record of files before they are written.
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
    // The paths in a record are relative to its data folder, so they mean nothing in another folder.
    ...(record?.path !== path ? {} : { created: record.created }),
    // The same holds for links.
    ...(record?.links === undefined || record.path !== path || verify === true
      ? {}
      : { links: record.links }),
    ...(filePaths === undefined ? {} : { files: filePaths }),
    ...(folderMode === undefined ? {} : { folderMode })
  })
}

/**
 * Removes the folder of the resume record if it is in the data folder and empty. With `ours`, then also removes an empty data
 * folder.
 */
export async function removeEmptyFolders({ path, state }: DataFolder, ours: boolean): Promise<void> {
  if (state === undefined || dirname(state) !== path) return
  await rmdir(state).catch(() => {})
  if (ours) await rmdir(path).catch(() => {})
}
