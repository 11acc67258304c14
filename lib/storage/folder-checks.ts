import { systemCode } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { isSameInode, type RealFolder } from './real-folder.ts'
import type { StorageFs } from './storage-fs.ts'

/** The running check of a folder, and the one that begins after it. */
interface Checks {
  readonly running: Promise<boolean>
  next: Promise<boolean> | undefined
}

/**
 * Checks that folders are still where they were found. Calls share a check that has not begun, because many files of a folder are opened at
 * once.
 */
export class FolderChecks {
  readonly #fs: StorageFs
  readonly #checks = new LazyMap<RealFolder, Checks>()

  constructor(fs: StorageFs) {
    this.#fs = fs
  }

  /** Returns whether the path of a folder still leads to the same folder, by a check that begins after this call. */
  isSame(folder: RealFolder): Promise<boolean> {
    const checks = this.#checks.get(folder)
    if (checks === undefined) return this.#begin(folder)
    const begin = (): Promise<boolean> => this.#begin(folder)
    checks.next ??= checks.running.then(begin, begin)
    return checks.next
  }

  #begin(folder: RealFolder): Promise<boolean> {
    const checks: Checks = { running: this.#check(folder), next: undefined }
    this.#checks.set(folder, checks)
    const forget = (): void => {
      if (checks.next === undefined) this.#checks.delete(folder)
    }
    checks.running.then(forget, forget)
    return checks.running
  }

  async #check(folder: RealFolder): Promise<boolean> {
    try {
      const stats = await this.#fs.lstat(folder.path, { bigint: true })
      if (!isSameInode(stats, folder) || !stats.isDirectory()) return false
      if (folder.nominal === folder.path) return true
      return isSameInode(await this.#fs.stat(folder.nominal, { bigint: true }), folder)
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) return false
      throw error
    }
  }
}
