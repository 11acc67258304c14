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

/** Returns what tells a file or folder apart from all others, or undefined when there is none or the file system does not number them. */
export async function fileIdOf(fs: StorageFs, path: string): Promise<FileId | undefined> {
  try {
    const { dev, ino } = await fs.stat(path, { bigint: true })
    return ino === 0n ? undefined : `${dev}:${ino}`
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/** A folder and those above it. */
export class FoldersAbove {
  readonly #fs: StorageFs
  readonly #paths: ReadonlySet<string>
  readonly #ids: ReadonlySet<FileId>

  private constructor(fs: StorageFs, paths: ReadonlySet<string>, ids: ReadonlySet<FileId>) {
    this.#fs = fs
    this.#paths = paths
    this.#ids = ids
  }

  /** Returns a folder, which may be missing, and all folders above it. */
  static async of(fs: StorageFs, folder: string): Promise<FoldersAbove> {
    const paths = new Set<string>()
    const ids = new Set<FileId>()
    for (let at = await realPathOf(fs, folder); !paths.has(at); at = dirname(at)) {
      paths.add(at)
      const id = await fileIdOf(fs, at)
      if (id !== undefined) ids.add(id)
    }
    return new FoldersAbove(fs, paths, ids)
  }

  /**
   * Returns whether a folder is one of them. Devices and inodes are compared, as a file system may know a folder by many names; where
   * it does not exist, its text.
   */
  async has(folder: string): Promise<boolean> {
    const id = await fileIdOf(this.#fs, folder)
    if (id !== undefined) return this.#ids.has(id)
    return this.#paths.has(await realPathOf(this.#fs, folder))
  }
}

/** Returns whether a folder is another one or lies in it. */
export async function liesIn(fs: StorageFs, folder: string, outer: string): Promise<boolean> {
  return (await FoldersAbove.of(fs, folder)).has(outer)
}

/** Below a folder that this user may not enter, such as the home of another one, nothing can be reached either. */
const absentCodes: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'EACCES']

function isAbsent(error: unknown): boolean {
  return absentCodes.includes(systemCode(error))
}
