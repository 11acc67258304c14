import { constants } from 'node:fs'
import { access, lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { recordFolder } from '../metainfo/record-folder.ts'
import { systemCode, TorrentError } from '../util/errors.ts'

/**
 * Returns the folder for resume records beside a torrent's data. If that name is taken by a link or a file, or the folder cannot be
 * read and written, warns and returns undefined; the torrent then works without a resume record.
 */
export async function recordsBeside(
  dataFolder: string,
  onWarning: (warning: Error) => void
): Promise<string | undefined> {
  const folder = join(dataFolder, recordFolder)
  const reason = await obstacle(folder)
  if (reason === undefined) return folder
  const message =
    `${folder} ${reason}, so no resume records are kept there: move it away, ` +
    'or choose another folder for them with the option state'
  onWarning(new TorrentError('ERR_STORAGE_RESUME', message, { details: { path: folder } }))
  return undefined
}

async function obstacle(folder: string): Promise<string | undefined> {
  try {
    if (!(await lstat(folder)).isDirectory()) return 'is not a folder'
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    // A missing folder is created later, and the storage reports faults of the data folder itself.
    return systemCode(error) === 'EACCES' && (await isThere(folder))
      ? 'cannot be read and written'
      : undefined
  }
}

async function isThere(folder: string): Promise<boolean> {
  return lstat(folder).then(
    () => true,
    () => false
  )
}
