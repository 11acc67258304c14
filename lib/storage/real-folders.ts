import type { BigIntStats } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { systemCode, TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { FolderChecks } from './folder-checks.ts'
import { Links } from './links.ts'
import { isBelow, isSameInode, parentOf, type RealFolder } from './real-folder.ts'
import {
  isMissing,
  openFile,
  openFlags,
  type StorageFs,
  type StorageHandle,
  syncFolder
} from './storage-fs.ts'

/** Options of {@link RealFolders}. */
export interface RealFoldersOptions {
  readonly fs: StorageFs
  /** Absolute path of the folder below which links are checked; undefined when the user named each file. */
  readonly root?: string | undefined
  readonly links?: Links
  /** Mode of the root when it is created. */
  readonly rootMode?: number | undefined
}

/**
 * Folders by requested path. Each is looked up once; its real path, device and inode are kept to confirm the folder after a file in it was
 * opened. Below the root every path element is checked, so that only links accepted by {@link Links} are followed. Node opens files only by
 * path, so a program that may write to the folder can still win a race against these checks.
 */
export class RealFolders {
  readonly links: Links
  /** Folder below which links are checked. */
  readonly root: string | undefined
  readonly #fs: StorageFs
  readonly #rootMode: number | undefined
  /** The root or, if it was missing, its nearest existing ancestor; every path element below it is checked. */
  #base: Promise<string> | undefined
  readonly #known = new LazyMap<string, RealFolder>()
  readonly #looks = new LazyMap<string, Promise<RealFolder | undefined>>()
  readonly #makes = new LazyMap<string, Promise<readonly RealFolder[]>>()
  readonly #checks: FolderChecks

  constructor({ fs, root, links = new Links({ fs }), rootMode }: RealFoldersOptions) {
    this.#fs = fs
    this.#checks = new FolderChecks(fs)
    this.root = root
    this.links = links
    this.#rootMode = rootMode
  }

  /** Returns a folder that was found or created before. */
  known(nominal: string): RealFolder | undefined {
    return this.#known.get(nominal)
  }

  /** Returns the nearest folder above a path that was found or created before. */
  knownAbove(path: string): RealFolder | undefined {
    for (let at = path; ; ) {
      const above = parentOf(at)
      const folder = this.#known.get(above)
      if (folder !== undefined || above === at) return folder
      at = above
    }
  }

  /** Finds a folder, undefined when it is missing; throws ERR_STORAGE_PATH when something else is at its path. */
  async find(nominal: string): Promise<RealFolder | undefined> {
    const known = this.#known.get(nominal)
    if (known !== undefined) return known
    let look = this.#looks.get(nominal)
    if (look === undefined) {
      look = this.#look(nominal, false).finally(() => this.#looks.delete(nominal))
      this.#looks.set(nominal, look)
    }
    return look
  }

  /** Finds a folder again, undefined when it is gone; throws ERR_STORAGE_PATH when its path leads elsewhere now. */
  async current(nominal: string): Promise<RealFolder | undefined> {
    const folder = await this.find(nominal)
    return folder === undefined || (await this.#checks.isSame(folder)) ? folder : this.#again(nominal)
  }

  /** Creates a folder and missing folders above it; returns the created ones, outermost first. */
  make(nominal: string): Promise<readonly RealFolder[]> {
    let making = this.#makes.get(nominal)
    if (making === undefined) {
      making = this.#make(nominal).finally(() => this.#makes.delete(nominal))
      this.#makes.set(nominal, making)
    }
    return making
  }

  /** Creates a folder, and flushes the parents of all created folders, so that they survive a power cut. */
  async makeSynced(nominal: string): Promise<void> {
    for (const { path } of await this.make(nominal)) await syncFolder(this.#fs, dirname(path))
  }

  /**
   * Opens a file in a folder and confirms that it was opened there.
   * @throws TorrentError ERR_STORAGE_PATH when the folder is elsewhere now; errors of opening pass through.
   */
  async open(folder: RealFolder, path: string, flags: number, mode?: number): Promise<StorageHandle> {
    for (let at = folder, tries = 0; ; tries++) {
      const handle = await openFile(this.#fs, path, flags, mode)
      try {
        if (await this.#checks.isSame(at)) return handle
      } catch (error) {
        await handle.close()
        throw error
      }
      await this.#giveUp(handle, path, flags)
      if (tries > 0) throw moved(at.nominal, 'keeps being replaced')
      const found = await this.#again(at.nominal)
      if (found === undefined) throw gone()
      at = found
    }
  }

  /** Closes a file that was opened elsewhere; removes it if it was created there. */
  async #giveUp(handle: StorageHandle, path: string, flags: number): Promise<void> {
    try {
      if (flags !== openFlags.create) return
      const made = await handle.stat({ bigint: true })
      if (made.size === 0n && isSameInode(await this.#fs.lstat(path, { bigint: true }), made)) {
        await this.#fs.unlink(path)
      }
    } catch (error) {
      if (!isMissing(error)) throw error
    } finally {
      await handle.close()
    }
  }

  async #make(nominal: string): Promise<readonly RealFolder[]> {
    const known = this.#known.get(nominal)
    if (known !== undefined && (await this.#checks.isSame(known))) return []
    if ((await this.#again(nominal)) !== undefined) return []
    const parentName = dirname(nominal)
    if (parentName === nominal) throw gone()
    const above = await this.make(parentName)
    const parent = this.#known.get(parentName)
    if (parent === undefined) throw gone()
    const path = join(parent.path, nominal.slice(parentName.length))
    const isOurs = await this.#mkdir(nominal, path).catch(async (error: unknown) => {
      if (isMissing(error)) await this.#again(parentName)
      throw error
    })
    const stats = await this.#fs.lstat(path, { bigint: true })
    if (stats.isSymbolicLink()) throw moved(nominal, 'is a symbolic link that was just created')
    if (!stats.isDirectory()) throw notFolder()
    if (!(await this.#checks.isSame(parent))) {
      if (isOurs) await this.#fs.rmdir(path).catch(() => {})
      await this.#again(parentName)
      throw moved(parentName, 'was just replaced')
    }
    const folder = folderOf(nominal, path, stats)
    this.#known.set(nominal, folder)
    return isOurs ? [...above, folder] : above
  }

  /** Creates a folder; returns false if it already exists. */
  async #mkdir(nominal: string, path: string): Promise<boolean> {
    const mode = nominal === this.root ? this.#rootMode : undefined
    try {
      await this.#fs.mkdir(path, mode === undefined ? {} : { mode })
      return true
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
      return false
    }
  }

  /**
   * Looks up a folder that may have changed, and those above it. Some file systems renumber their folders at times, and users replace
   * folders: both are fine as long as the path leads to the same place through the same links.
   */
  async #again(nominal: string): Promise<RealFolder | undefined> {
    const known = this.#known.get(nominal)
    const found = await this.#look(nominal, true)
    // A folder that is gone may come back only at the same place.
    if (found !== undefined && known !== undefined && known.path !== found.path) {
      this.#known.set(nominal, known)
      throw moved(nominal, `leads to ${found.path} instead of ${known.path}`)
    }
    return found
  }

  async #look(nominal: string, again: boolean): Promise<RealFolder | undefined> {
    const base = await this.#findBase()
    const below = base !== undefined && nominal !== base && isBelow(nominal, base)
    try {
      const found = below ? await this.#lookBelow(nominal, again) : await this.#lookAnywhere(nominal)
      if (found === undefined) return undefined
      if (!found.stats.isDirectory()) throw notFolder()
      const folder = folderOf(nominal, found.path, found.stats)
      this.#known.set(nominal, folder)
      return folder
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async #lookBelow(
    nominal: string,
    again: boolean
  ): Promise<{ path: string; stats: BigIntStats } | undefined> {
    const parentName = parentOf(nominal)
    const parent = await (again ? this.#again(parentName) : this.find(parentName))
    if (parent === undefined) return undefined
    const path = join(parent.path, nominal.slice(parentName.length))
    const stats = await this.#fs.lstat(path, { bigint: true })
    return stats.isSymbolicLink() ? this.links.follow(this.#nameOf(nominal), path) : { path, stats }
  }

  /** Follows all links, because the user named this path. */
  async #lookAnywhere(nominal: string): Promise<{ path: string; stats: BigIntStats }> {
    const path = await this.#fs.realpath(nominal)
    if (nominal === this.root) await this.links.chosen(nominal, path)
    return { path, stats: await this.#fs.lstat(path, { bigint: true }) }
  }

  /** Returns the path relative to the torrent's root, separated by `/`. */
  #nameOf(nominal: string): string {
    const root = this.root ?? ''
    return nominal.slice(root.endsWith(sep) ? root.length : root.length + 1).replaceAll(sep, '/')
  }

  #findBase(): Promise<string | undefined> | undefined {
    if (this.root === undefined) return undefined
    this.#base ??= this.#nearest(this.root).catch((error: unknown) => {
      this.#base = undefined
      throw error
    })
    return this.#base
  }

  async #nearest(folder: string): Promise<string> {
    try {
      await this.#fs.realpath(folder)
      return folder
    } catch (error) {
      const parent = dirname(folder)
      if (!isMissing(error) || parent === folder) throw error
      return this.#nearest(parent)
    }
  }
}

function folderOf(nominal: string, path: string, { dev, ino }: BigIntStats): RealFolder {
  return { nominal, path, dev, ino }
}

function notFolder(): Error {
  return Object.assign(new Error('is not a folder'), { code: 'ENOTDIR' })
}

function gone(): Error {
  return Object.assign(new Error('the folder is gone'), { code: 'ENOENT' })
}

function moved(path: string, why: string): TorrentError {
  const message = `The folder ${path} ${why}: put it back or, if this is intended, add the torrent with the option verify`
  return new TorrentError('ERR_STORAGE_PATH', message, { details: { path } })
}
