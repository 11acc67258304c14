import { dirname, join } from 'node:path'
import { systemCode } from '../util/errors.ts'
import type { StorageFs } from './storage-fs.ts'

/** Device and inode of what stands at a path. */
export type FileId = string

/** Returns the absolute path without symbolic links, of what stands there or would stand there. */
export async function realPathOf(fs: StorageFs, path: string): Promise<string> {
  try {
    return await fs.realpath(path)
  } catch (error) {
    const parent = dirname(path)
    if (!isAbsent(error) || parent === path) throw error
    return join(await realPathOf(fs, parent), path.slice(parent.length))
  }
}

/** Returns what tells a file or folder apart from all others, or undefined when there is none. */
export async function fileIdOf(fs: StorageFs, path: string): Promise<FileId | undefined> {
  try {
    const { dev, ino } = await fs.stat(path, { bigint: true })
    return `${dev}:${ino}`
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/**
 * Returns whether a folder is another one or lies in it. Devices and inodes are compared, as a file system may know a folder by many
 * names; where a folder does not exist yet, its text.
 */
export async function liesIn(fs: StorageFs, folder: string, outer: string): Promise<boolean> {
  const [inside, root] = await Promise.all([realPathOf(fs, folder), realPathOf(fs, outer)])
  const id = await fileIdOf(fs, root)
  for (let at = inside; ; at = dirname(at)) {
    if (at === root || (id !== undefined && (await fileIdOf(fs, at)) === id)) return true
    if (at === dirname(at)) return false
  }
}

function isAbsent(error: unknown): boolean {
  return systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR'
}
