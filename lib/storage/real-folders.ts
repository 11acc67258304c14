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

/** How {@link RealFolders} are set up. */
export interface RealFoldersOptions {
  readonly fs: StorageFs
  /** The folder below which links are judged, absolute. Undefined when the user named each file. */
  readonly root?: string | undefined
  readonly links?: Links
  /** Mode of the root when it is made. */
  readonly rootMode?: number | undefined
}

/**
 * Folders by the path asked for, each looked up once: with its real path, device and inode, by which it is known again after a file in it
 * was opened. Below the root every element is looked at, so that no link is followed that {@link Links} do not accept. Files can be opened
 * by path alone in Node, so a program that may write to the folder can still win a race against this.
 */
export class RealFolders {
  readonly links: Links
  /** The folder below which links are judged. */
  readonly root: string | undefined
  readonly #fs: StorageFs
  readonly #rootMode: number | undefined
  /** The root or, if that was missing, what was there above it at first: below it every element is looked at. */
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

  /** A folder that was found or made before. */
  known(nominal: string): RealFolder | undefined {
    return this.#known.get(nominal)
  }

  /** The nearest folder above a path that was found or made before. */
  knownAbove(path: string): RealFolder | undefined {
    for (let at = path; ; ) {
      const above = parentOf(at)
      const folder = this.#known.get(above)
      if (folder !== undefined || above === at) return folder
      at = above
    }
  }

  /** The folder, undefined when it is missing; throws ERR_STORAGE_PATH when something else is in its place. */
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

  /** The folder as it is now, undefined when it is gone; throws ERR_STORAGE_PATH when it is elsewhere now. */
  async current(nominal: string): Promise<RealFolder | undefined> {
    const folder = await this.find(nominal)
    return folder === undefined || (await this.#checks.isSame(folder)) ? folder : this.#again(nominal)
  }

  /** Makes a folder where it is missing, and those above it; returns those made, from the outermost on. */
  make(nominal: string): Promise<readonly RealFolder[]> {
    let making = this.#makes.get(nominal)
    if (making === undefined) {
      making = this.#make(nominal).finally(() => this.#makes.delete(nominal))
      this.#makes.set(nominal, making)
    }
    return making
  }

  /** Makes a folder, and makes the names of those made safe against a power cut. */
  async makeSynced(nominal: string): Promise<void> {
    for (const { path } of await this.make(nominal)) await syncFolder(this.#fs, dirname(path))
  }

  /**
   * Opens a file in a folder, and makes sure that it was opened there.
   * @throws TorrentError ERR_STORAGE_PATH when the folder is elsewhere now; what opening throws.
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
      if (tries > 0) throw moved(at.nominal, 'is another folder each time')
      const found = await this.#again(at.nominal)
      if (found === undefined) throw gone()
      at = found
    }
  }

  /** Closes a file that was opened elsewhere, and removes it if it was made there. */
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
    if (stats.isSymbolicLink()) throw moved(nominal, 'is a symbolic link that was put there just now')
    if (!stats.isDirectory()) throw notFolder()
    if (!(await this.#checks.isSame(parent))) {
      if (isOurs) await this.#fs.rmdir(path).catch(() => {})
      await this.#again(parentName)
      throw moved(parentName, 'was replaced just now')
    }
    const folder = folderOf(nominal, path, stats)
    this.#known.set(nominal, folder)
    return isOurs ? [...above, folder] : above
  }

  /** Whether the folder was made here; it may have been there. */
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
   * Looks a folder up that may have changed, and those above it. Some file systems number their folders anew now and then, and a user may
   * replace one: that is no fault as long as the path leads where it did, through no other links.
   */
  async #again(nominal: string): Promise<RealFolder | undefined> {
    const known = this.#known.get(nominal)
    const found = await this.#look(nominal, true)
    // One that is gone may come back where it was, and nowhere else.
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

  /** Follows all links: the user named this path. */
  async #lookAnywhere(nominal: string): Promise<{ path: string; stats: BigIntStats }> {
    const path = await this.#fs.realpath(nominal)
    if (nominal === this.root) await this.links.chosen(nominal, path)
    return { path, stats: await this.#fs.lstat(path, { bigint: true }) }
  }

  /** Returns the path relative to the torrent's root, with `/`. */
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
  return Object.assign(new Error('is no folder'), { code: 'ENOTDIR' })
}

function gone(): Error {
  return Object.assign(new Error('the folder is gone'), { code: 'ENOENT' })
}

function moved(path: string, why: string): TorrentError {
  const message = `The folder ${path} ${why}: put it back or, if this is right, add the torrent with the option verify`
  return new TorrentError('ERR_STORAGE_PATH', message, { details: { path } })
}
