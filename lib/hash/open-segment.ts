import type { BigIntStats } from 'node:fs'
import { closeSync, constants, lstatSync, openSync, statSync } from 'node:fs'
import { type FileHandle, lstat, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from '../util/errors.ts'
import type { SegmentFolder } from './hash-job.ts'

// 0 on Windows, which lacks these flags.
const noFollow = constants.O_NOFOLLOW ?? 0
const noBlock = constants.O_NONBLOCK ?? 0

/** Error code for a path that now leads through a symbolic link, or whose folder was replaced. */
export const movedCode = 'ESTALE'

/** Opens a file for reading synchronously, in a worker; see {@link openSegment}. */
export function openSegmentSync(path: string, folder: SegmentFolder | undefined): number {
  const flags = flagsOf(folder)
  let descriptor: number
  try {
    descriptor = openSync(path, flags)
  } catch (error) {
    if (folder !== undefined && isLink(error)) throw moved(path)
    if (!isLeased(error) || !statSync(path).isFile()) throw error
    descriptor = openSync(path, flags & ~noBlock)
  }
  try {
    if (folder !== undefined) {
      for (const at of pathsToCheck(path, folder))
        checkStep(at, lstatSync(at, { bigint: true }), path, folder)
    }
    return descriptor
  } catch (error) {
    closeSync(descriptor)
    throw isGone(error) ? moved(path) : error
  }
}

/**
 * Opens a file for reading. With a `folder`, throws {@link movedCode} if the folder is gone or replaced, or if the file or a folder between
 * them is a symbolic link. Without it, links are followed. Never blocks on a FIFO.
 */
export async function openSegment(path: string, folder: SegmentFolder | undefined): Promise<FileHandle> {
  const flags = flagsOf(folder)
  let handle: FileHandle
  try {
    handle = await open(path, flags)
  } catch (error) {
    if (folder !== undefined && isLink(error)) throw moved(path)
    if (!isLeased(error) || !(await stat(path)).isFile()) throw error
    handle = await open(path, flags & ~noBlock)
  }
  try {
    if (folder !== undefined) {
      for (const at of pathsToCheck(path, folder))
        checkStep(at, await lstat(at, { bigint: true }), path, folder)
    }
    return handle
  } catch (error) {
    await handle.close()
    throw isGone(error) ? moved(path) : error
  }
}

function flagsOf(folder: SegmentFolder | undefined): number {
  return constants.O_RDONLY | noBlock | (folder === undefined ? 0 : noFollow)
}

/** Returns the paths to check after an open: the folders from the file's up to `folder`, and the file itself on Windows, where open follows links. */
function pathsToCheck(path: string, folder: SegmentFolder): string[] {
  const paths = noFollow === 0 ? [path] : []
  for (let at = dirname(path); ; at = dirname(at)) {
    paths.push(at)
    if (at === folder.path) return paths
    if (at === dirname(at)) throw moved(path)
  }
}

function checkStep(at: string, stats: BigIntStats, path: string, folder: SegmentFolder): void {
  if (stats.isSymbolicLink() || (at !== path && !stats.isDirectory())) throw moved(path)
  if (at === folder.path && (stats.dev !== folder.dev || stats.ino !== folder.ino)) throw moved(path)
}

/** Returns whether an open failed with EAGAIN, as for a file leased by another program (Samba). A blocking open waits for the lease to end. */
function isLeased(error: unknown): boolean {
  return systemCode(error) === 'EAGAIN'
}

/** Returns whether an open failed because the path is a symbolic link, which the flags refuse, or leads through too many. */
function isLink(error: unknown): boolean {
  return systemCode(error) === 'ELOOP'
}

function isGone(error: unknown): boolean {
  return systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR'
}

function moved(path: string): Error {
  return Object.assign(new Error(`${path} leads through a symbolic link, or its folder was replaced`), {
    code: movedCode
  })
}
