import type { BigIntStats } from 'node:fs'
import { constants, lstat } from 'node:fs'
import { open, readdir, readlink, realpath, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { systemCode } from '../util/errors.ts'
import { makeFolder, makeOneFolder } from '../util/make-folder.ts'
import type { FileStat } from './storage.ts'

/** The part of a `node:fs` FileHandle that storage needs. */
export interface StorageHandle {
  /** Reads up to `length` bytes at `position` into `target` from `offset`. */
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>
  /** Writes the buffers one after the other at `position`; may write less than all. */
  writev(buffers: Uint8Array[], position: number): Promise<{ bytesWritten: number }>
  /** Cuts or extends the file. */
  truncate(length: number): Promise<void>
  /** Size and times in big integers. */
  stat(options: { bigint: true }): Promise<BigIntStats>
  /** Flushes content and size. */
  datasync(): Promise<void>
  /** Flushes everything; for folders. */
  sync(): Promise<void>
  /** Releases the descriptor. */
  close(): Promise<void>
}

/** The file system calls that storage makes, so that tests can make them fail. */
export interface StorageFs {
  open(path: string, flags: number, mode?: number): Promise<StorageHandle>
  /** With `recursive` returns the first folder made; without, throws EEXIST for what is there. */
  mkdir(path: string, options: { recursive?: boolean; mode?: number }): Promise<string | undefined>
  lstat(path: string, options: { bigint: true }): Promise<BigIntStats>
  stat(path: string, options: { bigint: true }): Promise<BigIntStats>
  realpath(path: string): Promise<string>
  readlink(path: string): Promise<string>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  rmdir(path: string): Promise<void>
  readdir(path: string): Promise<string[]>
}

/** The real file system. */
export const nodeFs: StorageFs = {
  open,
  mkdir: async (path, options) =>
    options.recursive === true ? makeFolder(path, options) : void (await makeOneFolder(path, options)),
  // Each file that is opened costs one look at its folder, and by callback that takes half as long.
  lstat: (path: string, options: { bigint: true }): Promise<BigIntStats> =>
    new Promise((found, reject) => {
      lstat(path, options, (error, stats) => {
        if (error === null) found(stats)
        else reject(error)
      })
    }),
  stat,
  realpath: (path: string): Promise<string> => realpath(path),
  readlink: (path: string): Promise<string> => readlink(path),
  rename,
  unlink,
  rmdir: (path: string): Promise<void> => rmdir(path),
  readdir: (path: string): Promise<string[]> => readdir(path)
}

/** Windows has no such flags, and there `constants` lacks them. */
const noFollow = constants.O_NOFOLLOW ?? 0
const noBlock = constants.O_NONBLOCK ?? 0

/**
 * Flags of open(2) that storage uses. None follows a symbolic link in the last element of a path, or waits for the other end of a FIFO
 * that stands in the place of a file; reading and writing at a position fail there.
 */
export const openFlags: Readonly<Record<'read' | 'update' | 'create' | 'replace' | 'folder', number>> = {
  read: constants.O_RDONLY | noFollow | noBlock,
  update: constants.O_RDWR | noFollow | noBlock,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | noFollow,
  replace: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | noFollow | noBlock,
  folder: constants.O_RDONLY | (constants.O_DIRECTORY ?? 0)
}

/** Opens a file with {@link openFlags}; waits for a Samba client that has it under a lease, which fails with EAGAIN otherwise. */
export async function openFile(
  fs: StorageFs,
  path: string,
  flags: number,
  mode?: number
): Promise<StorageHandle> {
  try {
    const handle = await fs.open(path, flags, mode)
    if (noFollow === 0) await refuseLink(fs, path, handle)
    return handle
  } catch (error) {
    if (systemCode(error) !== 'EAGAIN' || (flags & noBlock) === 0) throw error
    if (!(await fs.lstat(path, { bigint: true })).isFile()) throw error
    return fs.open(path, flags & ~noBlock, mode)
  }
}

/** Where opening follows links: closes what was opened through one. */
async function refuseLink(fs: StorageFs, path: string, handle: StorageHandle): Promise<void> {
  const stats = await fs.lstat(path, { bigint: true }).catch(() => undefined)
  if (stats?.isSymbolicLink() === false) return
  await handle.close()
  throw Object.assign(new Error(`${path} is a symbolic link`), { code: 'ELOOP' })
}

/** Writes all buffers at `position`, however short the single writes are. */
export async function writeAll(
  handle: StorageHandle,
  buffers: readonly Uint8Array[],
  position: number
): Promise<void> {
  let rest = buffers.filter(({ byteLength }) => byteLength > 0)
  let at = position
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at)
    if (bytesWritten <= 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' })
    at += bytesWritten
    rest = without(rest, bytesWritten)
  }
}

/** The buffers after their first `count` bytes. */
function without(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  let index = 0
  let left = count
  for (
    let buffer = buffers[0];
    buffer !== undefined && buffer.byteLength <= left;
    buffer = buffers[++index]
  ) {
    left -= buffer.byteLength
  }
  const rest = buffers.slice(index)
  const first = rest[0]
  if (first !== undefined && left > 0) rest[0] = first.subarray(left)
  return rest
}

/** Fills `target` from `position`; returns how many bytes there were before the end of the file. */
export async function readAll(handle: StorageHandle, target: Uint8Array, position: number): Promise<number> {
  let at = 0
  while (at < target.byteLength) {
    const { bytesRead } = await handle.read(target, at, target.byteLength - at, position + at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return at
}

/** Makes the names in a folder safe against a power cut, where the system can do that. */
export async function syncFolder(fs: StorageFs, path: string): Promise<void> {
  let handle: StorageHandle | undefined
  try {
    handle = await fs.open(path, openFlags.folder)
    await handle.sync()
  } catch (error) {
    // Windows opens no folders, and some network file systems cannot flush them.
    if (
      !['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'EBADF', 'ENOTSUP', 'ENOENT', 'ENOTDIR'].includes(
        systemCode(error) ?? ''
      )
    ) {
      throw error
    }
  } finally {
    await handle?.close()
  }
}

/** Makes a folder where it is missing, those above it too, and makes their names safe against a power cut. */
export async function makeSyncedFolder(fs: StorageFs, path: string, mode?: number): Promise<void> {
  const made = await fs.mkdir(path, mode === undefined ? { recursive: true } : { recursive: true, mode })
  if (made === undefined) return
  const first = resolve(made)
  for (let folder = resolve(path); folder.length >= first.length; folder = dirname(folder)) {
    await syncFolder(fs, dirname(folder))
  }
}

/** Whether a system call failed because the path does not exist. */
export function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT'
}

/** What of a file's state a resume record keeps. */
export function fileStat({ size, mtimeNs }: BigIntStats): FileStat {
  return { size: Number(size), mtimeNs }
}
