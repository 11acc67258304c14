import type { BigIntStats } from 'node:fs'
import { constants } from 'node:fs'
import { lstat, open, readdir, realpath, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { systemCode } from '../util/errors.ts'
import { makeFolder } from '../util/make-folder.ts'
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
  mkdir(path: string, options: { recursive: true; mode?: number }): Promise<string | undefined>
  lstat(path: string, options: { bigint: true }): Promise<BigIntStats>
  stat(path: string, options: { bigint: true }): Promise<BigIntStats>
  realpath(path: string): Promise<string>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  rmdir(path: string): Promise<void>
  readdir(path: string): Promise<string[]>
}

/** The real file system. */
export const nodeFs: StorageFs = {
  open,
  mkdir: makeFolder,
  lstat,
  stat,
  realpath: (path: string): Promise<string> => realpath(path),
  rename,
  unlink,
  rmdir: (path: string): Promise<void> => rmdir(path),
  readdir: (path: string): Promise<string[]> => readdir(path)
}

/** Windows has no such flag, and there `constants` lacks it. */
const noFollow = constants.O_NOFOLLOW ?? 0

/** Flags of open(2) that storage uses; none follows a symbolic link in the last element of a path. */
export const openFlags: Readonly<Record<'read' | 'update' | 'create' | 'replace' | 'folder', number>> = {
  read: constants.O_RDONLY | noFollow,
  update: constants.O_RDWR | noFollow,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | noFollow,
  replace: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | noFollow,
  folder: constants.O_RDONLY
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
      !['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'EBADF', 'ENOTSUP', 'ENOENT'].includes(systemCode(error) ?? '')
    ) {
      throw error
    }
  } finally {
    await handle?.close()
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
