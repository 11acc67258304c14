import type { BigIntStats } from 'node:fs'
import { constants, lstat } from 'node:fs'
import { open, readdir, readlink, realpath, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { systemCode } from '../util/errors.ts'
import { makeFolder, makeOneFolder } from '../util/make-folder.ts'
import type { FileStat } from './storage.ts'

/** Subset of a `node:fs` FileHandle that storage uses. */
export interface StorageHandle {
  /** Reads up to `length` bytes at `position` into `target` from `offset`. */
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>
  /** Writes the buffers in sequence at `position`; may write less than all. */
  writev(buffers: Uint8Array[], position: number): Promise<{ bytesWritten: number }>
  /** Truncates or extends the file. */
  truncate(length: number): Promise<void>
  /** Returns size and times as bigints. */
  stat(options: { bigint: true }): Promise<BigIntStats>
  /** Flushes content and size. */
  datasync(): Promise<void>
  /** Flushes everything; for folders. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** File system calls that storage makes; tests replace them to inject failures. */
export interface StorageFs {
  open(path: string, flags: number, mode?: number): Promise<StorageHandle>
  /** Returns the first created folder with `recursive`; without it, throws EEXIST when the path exists. */
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
  // Each opened file costs one lstat of its folder, and the callback API takes half as long.
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

/** 0 on Windows, which lacks these flags. */
const noFollow = constants.O_NOFOLLOW ?? 0
const noBlock = constants.O_NONBLOCK ?? 0

/**
 * Flags of open(2) that storage uses. Except with `folder`, opening does not follow a symbolic link in the last path element, and does not
 * block on a FIFO at the path of a file; positioned reads and writes fail on a FIFO.
 */
export const openFlags: Readonly<Record<'read' | 'update' | 'create' | 'replace' | 'folder', number>> = {
  read: constants.O_RDONLY | noFollow | noBlock,
  update: constants.O_RDWR | noFollow | noBlock,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | noFollow,
  replace: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | noFollow | noBlock,
  folder: constants.O_RDONLY | (constants.O_DIRECTORY ?? 0)
}

/** Opens a file with {@link openFlags}. If it fails with EAGAIN because a Samba client holds a lease on the file, waits for the client. */
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

/** Closes and refuses a file that was opened through a link, on systems whose open follows links. */
async function refuseLink(fs: StorageFs, path: string, handle: StorageHandle): Promise<void> {
  const stats = await fs.lstat(path, { bigint: true }).catch(() => undefined)
  if (stats?.isSymbolicLink() === false) return
  await handle.close()
  throw Object.assign(new Error(`${path} is a symbolic link`), { code: 'ELOOP' })
}

/** Writes all buffers at `position`, with as many calls as short writes need. */
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

/** Returns the buffers without their first `count` bytes. */
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

/** Reads into `target` from `position` until it is full or the file ends; returns the number of bytes read. */
export async function readAll(handle: StorageHandle, target: Uint8Array, position: number): Promise<number> {
  let at = 0
  while (at < target.byteLength) {
    const { bytesRead } = await handle.read(target, at, target.byteLength - at, position + at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return at
}

/** Flushes the names in a folder to disk, where the system supports that. */
export async function syncFolder(fs: StorageFs, path: string): Promise<void> {
  let handle: StorageHandle | undefined
  try {
    handle = await fs.open(path, openFlags.folder)
    await handle.sync()
  } catch (error) {
    // Windows cannot open folders, and some network file systems cannot flush them.
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

/** Creates a folder and missing folders above it, and flushes their names to disk. */
export async function makeSyncedFolder(fs: StorageFs, path: string, mode?: number): Promise<void> {
  const made = await fs.mkdir(path, mode === undefined ? { recursive: true } : { recursive: true, mode })
  if (made === undefined) return
  const first = resolve(made)
  for (let folder = resolve(path); folder.length >= first.length; folder = dirname(folder)) {
    await syncFolder(fs, dirname(folder))
  }
}

/** Returns whether a system call failed because the path does not exist. */
export function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT'
}

/** Returns the part of a file's stat that a resume record stores. */
export function fileStat({ size, mtimeNs }: BigIntStats): FileStat {
  return { size: Number(size), mtimeNs }
}
