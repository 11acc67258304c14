import { asError, type ErrorCode, isTorrentError, systemCode, TorrentError } from '../util/errors.ts'

const sentences: Readonly<Record<string, readonly [ErrorCode, (path: string) => string]>> = (() => {
  const full = [
    'ERR_STORAGE_FULL',
    (path: string) => `The disk is full and ${path} cannot grow: free some space, then resume`
  ] as const
  const quota = [
    'ERR_STORAGE_FULL',
    (path: string) => `The disk quota is used up and ${path} cannot grow: free some space, then resume`
  ] as const
  const large = [
    'ERR_STORAGE_WRITE',
    (path: string) => `${path} is too large for its file system: choose a folder on another disk`
  ] as const
  const access = [
    'ERR_STORAGE_ACCESS',
    (path: string) => `Access to ${path} is denied: change its permissions or choose another folder`
  ] as const
  const readOnly = [
    'ERR_STORAGE_ACCESS',
    (path: string) => `${path} is on a read-only file system: choose another folder`
  ] as const
  const notFolder = [
    'ERR_STORAGE_PATH',
    (path: string) => `A file stands where ${path} needs a folder: move it away or choose another folder`
  ] as const
  const folder = [
    'ERR_STORAGE_PATH',
    (path: string) =>
      `A folder stands where the file ${path} should be: move it away or choose another folder`
  ] as const
  const link = [
    'ERR_STORAGE_PATH',
    (path: string) => `A symbolic link stands in the way of ${path}: remove it or choose another folder`
  ] as const
  const odd = [
    'ERR_STORAGE_PATH',
    (path: string) => `${path} is not a regular file: move it away or choose another folder`
  ] as const
  const long = [
    'ERR_STORAGE_PATH',
    (path: string) => `The path ${path} is too long for this system: choose a folder with a shorter path`
  ] as const
  const handles = [
    'ERR_STORAGE_READ',
    (path: string) =>
      `${path} cannot be opened because too many files are open: raise the limit (ulimit -n) or use FileStorage with a lower maxOpenFiles`
  ] as const
  return {
    ENOSPC: full,
    EDQUOT: quota,
    EFBIG: large,
    EACCES: access,
    EPERM: access,
    EROFS: readOnly,
    ENOTDIR: notFolder,
    EEXIST: notFolder,
    EISDIR: folder,
    ELOOP: link,
    ENXIO: odd,
    ESPIPE: odd,
    ENAMETOOLONG: long,
    EMFILE: handles,
    ENFILE: handles
  }
})()

/** Converts a system error about `path` into a TorrentError; returns a TorrentError as it is. */
export function storageError(error: unknown, action: 'read' | 'write', path: string): TorrentError {
  if (isTorrentError(error)) return error
  const code = systemCode(error)
  const known = code === undefined ? undefined : sentences[code]
  const details = { path, ...(code === undefined ? {} : { code }) }
  if (known !== undefined) {
    // "Too many open files" has the code of a read in the table, but can fail a write too.
    const errorCode = known[0] === 'ERR_STORAGE_READ' && action === 'write' ? 'ERR_STORAGE_WRITE' : known[0]
    return new TorrentError(errorCode, known[1](path), { cause: error, details })
  }
  const reason = asError(error).message
  return action === 'read'
    ? new TorrentError('ERR_STORAGE_READ', `${path} could not be read (${reason}): check the disk`, {
        cause: error,
        details
      })
    : new TorrentError('ERR_STORAGE_WRITE', `${path} could not be written (${reason}): check the disk`, {
        cause: error,
        details
      })
}

/** Returns the error of every call before `open` or after `close`. */
export function storageClosed(): TorrentError {
  return new TorrentError('ERR_STORAGE_CLOSED', 'The storage is closed or was never opened')
}
