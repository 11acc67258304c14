import { dirname, join } from 'node:path'
import { systemCode } from '../util/errors.ts'
import type { StorageFs } from './storage-fs.ts'

/** Device and inode of a file or folder, as text. */
export type FileId = string

/** Returns an absolute path without symbolic links; the file may be missing. */
export async function realPathOf(fs: StorageFs, path: string): Promise<string> {
  try {
    return await fs.realpath(path)
  } catch (error) {
    const parent = dirname(path)
    if (!isAbsent(error) || parent === path) throw error
    return join(await realPathOf(fs, parent), path.slice(parent.length))
  }
}

/** Returns the identity of a file or folder; undefined when it is missing or the file system has no inode numbers. */
export async function fileIdOf(fs: StorageFs, path: string): Promise<FileId | undefined> {
  try {
    const { dev, ino } = await fs.stat(path, { bigint: true })
    return ino === 0n ? undefined : `${dev}:${ino}`
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

export class FoldersAbove {
  readonly #fs: StorageFs
  readonly #paths: ReadonlySet<string>
  readonly #ids: ReadonlySet<FileId>

  private constructor(fs: StorageFs, paths: ReadonlySet<string>, ids: ReadonlySet<FileId>) {
    this.#fs = fs
    this.#paths = paths
    this.#ids = ids
  }

  /** Collects a folder, which may be missing, and all folders above it. */
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
   * Returns whether a folder is one of them. Compares device and inode, because a folder may have many names; compares paths if
   * the folder does not exist.
   */
  async has(folder: string): Promise<boolean> {
    const id = await fileIdOf(this.#fs, folder)
    if (id !== undefined) return this.#ids.has(id)
    return this.#paths.has(await realPathOf(this.#fs, folder))
  }
}

/** Returns whether the real path of a folder is `outer` or below it. */
export async function isInside(fs: StorageFs, folder: string, outer: string): Promise<boolean> {
  return (await FoldersAbove.of(fs, folder)).has(outer)
}

/** EACCES counts as absent: nothing can be reached below a folder that this user may not enter, such as another user's home. */
const absentCodes: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'EACCES']

function isAbsent(error: unknown): boolean {
  return absentCodes.includes(systemCode(error))
}
