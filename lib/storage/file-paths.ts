import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import type { Layout } from '../metainfo/layout.ts'
import { systemCode, TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { FileStat } from './storage.ts'
import { storageError } from './storage-error.ts'
import { fileStat, isMissing, type StorageFs } from './storage-fs.ts'

/** Where a file of the torrent stands on disk, as far as that was found out. */
export interface Place {
  /** Absolute path without symbolic links, as it is or will be. */
  readonly path: string
  /** Whether a regular file is there. */
  readonly exists: boolean
  /** Of the file that is there. */
  readonly stat?: FileStat
}

/** Where a folder stands or would stand. */
interface Folder {
  readonly path: string
  readonly exists: boolean
}

/**
 * The real paths of a torrent's files. Under the root folder no symbolic link may lead outside; the root itself may be
 * one, and so may paths that the user named one by one.
 */
export class FilePaths {
  readonly #fs: StorageFs
  readonly #root: string
  readonly #layout: Layout
  /** Instead of those below the root. */
  readonly #given: readonly string[] | undefined
  readonly #folderMode: number | undefined
  /** Real paths of folders that exist, by the path asked for. */
  readonly #folders = new LazyMap<string, Promise<string | undefined>>()
  /** Those that were found. */
  readonly #known = new LazyMap<string, string>()
  /** While many files are looked for, folders that were found or not, so that each is looked for once. */
  #lookedFor: Map<string, Promise<Folder>> | undefined
  /** Of these, where those would stand that are missing. */
  readonly #absent = new LazyMap<string, string>()

  /** The paths of `layout` below `root`, or those in `given`. An unsafe path throws ERR_STORAGE_PATH. */
  constructor(fs: StorageFs, layout: Layout, root: string, given?: readonly string[], folderMode?: number) {
    this.#fs = fs
    this.#root = resolve(root)
    this.#layout = layout
    this.#folderMode = folderMode
    if (given !== undefined && given.length !== layout.files.length) {
      const message = `files has ${given.length} paths, but the torrent has ${layout.files.length} files`
      throw new TorrentError('ERR_STORAGE_PATH', message, { details: { files: given.length } })
    }
    this.#given = given?.map((path) => resolve(path))
    if (given === undefined) for (const { path } of layout.files) checkElements(path)
  }

  /** The file's path before symbolic links are followed. */
  nominal(fileIndex: number): string {
    const file = this.#layout.files[fileIndex]
    if (file === undefined) throw new RangeError(`there is no file ${fileIndex}`)
    const given = this.#given?.[fileIndex]
    if (given !== undefined) return given
    // Not join(), which takes most of the time where there are very many files: the elements were checked.
    const path = sep === '/' ? file.path : file.path.replaceAll('/', sep)
    return this.#root.endsWith(sep) ? this.#root + path : this.#root + sep + path
  }

  /** Runs a task that looks for many files, in which a folder that is missing once counts as missing. */
  async remembering<T>(task: () => Promise<T>): Promise<T> {
    this.#lookedFor = new Map()
    try {
      return await task()
    } finally {
      this.#lookedFor = undefined
      this.#absent.clear()
    }
  }

  /** Where a file would stand whose folder was found to be missing before, by the task that {@link remembering} runs; else undefined. */
  missingPath(fileIndex: number): string | undefined {
    if (this.#absent.size === 0) return undefined
    const nominal = this.nominal(fileIndex)
    const parent = parentOf(nominal)
    const folder = this.#absent.get(parent)
    return folder === undefined ? undefined : below(folder, nominal, parent)
  }

  /** Where a file stands or would stand; throws ERR_STORAGE_PATH when something else is in its way. */
  async place(fileIndex: number): Promise<Place> {
    const nominal = this.nominal(fileIndex)
    const parent = parentOf(nominal)
    try {
      const folder = await this.#findFolder(parent)
      const path = below(folder.path, nominal, parent)
      if (!folder.exists) return { path, exists: false }
      return await this.#realFile(path)
    } catch (error) {
      throw storageError(error, 'read', nominal)
    }
  }

  /** The real path of a file whose folder was found before; undefined when it was not. */
  knownPath(fileIndex: number): string | undefined {
    const nominal = this.nominal(fileIndex)
    const folder = parentOf(nominal)
    const known = this.#known.get(folder)
    return known === undefined ? undefined : join(known, nominal.slice(folder.length))
  }

  /**
   * Makes the folders above a file where they are missing, and returns the file's real path and the folders made, from
   * the outermost on.
   */
  async makeFolder(fileIndex: number): Promise<{ path: string; made: string[] }> {
    const nominal = this.nominal(fileIndex)
    const folder = dirname(nominal)
    try {
      const made: string[] = []
      await this.#realFolder(folder)
      if (this.#given === undefined) made.push(...(await this.#make(this.#root, this.#folderMode)))
      made.push(...(await this.#make(folder)))
      return { path: join((await this.#realFolder(folder)).path, nominal.slice(folder.length)), made }
    } catch (error) {
      throw storageError(error, 'write', nominal)
    }
  }

  /** A folder that was made, as the torrent calls it: `a/b/`, or `./` for the root; undefined above the root. */
  folderName(path: string): string | undefined {
    const name = relative(this.#root, path)
    if (name === '') return './'
    return this.#given !== undefined || !isBelow(name) ? undefined : `${name.split(sep).join('/')}/`
  }

  /** The folder of a name that {@link folderName} gave. */
  folderPath(name: string): string {
    return resolve(this.#root, name)
  }

  async #make(folder: string, mode?: number): Promise<string[]> {
    const first = await this.#fs.mkdir(folder, { recursive: true, ...(mode === undefined ? {} : { mode }) })
    if (first === undefined) return []
    const made: string[] = []
    for (let path = folder; path.length >= first.length; path = dirname(path)) {
      made.unshift(path)
      if (path === dirname(path)) break
    }
    return made
  }

  /** The real path of a file in a real folder; symbolic links are followed as long as they stay inside. */
  async #realFile(path: string): Promise<Place> {
    try {
      const stats = await this.#fs.lstat(path, { bigint: true })
      if (stats.isFile()) return { path, exists: true, stat: fileStat(stats) }
      if (stats.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' })
      if (stats.isSymbolicLink()) {
        const target = await this.#fs.realpath(path)
        await this.#checkInside(target, path)
        const behind = await this.#fs.stat(target, { bigint: true })
        if (behind.isFile()) return { path: target, exists: true, stat: fileStat(behind) }
      }
    } catch (error) {
      if (isMissing(error)) return { path, exists: false }
      throw error
    }
    throw blocked(path, 'is no regular file')
  }

  #findFolder(folder: string): Promise<Folder> {
    let found = this.#lookedFor?.get(folder)
    if (found === undefined) {
      found = this.#realFolder(folder)
      const lookedFor = this.#lookedFor
      if (lookedFor === undefined) return found
      lookedFor.set(folder, found)
      found.then(
        ({ path, exists }) => {
          if (!exists && this.#lookedFor === lookedFor) this.#absent.set(folder, path)
        },
        () => {}
      )
    }
    return found
  }

  async #realFolder(folder: string): Promise<Folder> {
    let known = this.#folders.get(folder)
    if (known === undefined) {
      known = this.#lookUp(folder)
      this.#folders.set(folder, known)
    }
    const path = await known.catch((error: unknown) => {
      this.#folders.delete(folder)
      throw error
    })
    if (path !== undefined) return { path, exists: true }
    this.#folders.delete(folder)
    const parent = dirname(folder)
    if (parent === folder) return { path: folder, exists: false }
    return { path: join((await this.#findFolder(parent)).path, folder.slice(parent.length)), exists: false }
  }

  async #lookUp(folder: string): Promise<string | undefined> {
    try {
      const path = await this.#fs.realpath(folder)
      if (folder.length > this.#root.length) await this.#checkInside(path, folder)
      this.#known.set(folder, path)
      return path
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async #checkInside(path: string, nominal: string): Promise<void> {
    if (this.#given !== undefined) return
    const root = await this.#realFolder(this.#root)
    const name = relative(root.path, path)
    if (name !== '' && !isBelow(name)) throw blocked(nominal, `leads outside of ${this.#root}`)
  }
}

/** The folder of an absolute path; `dirname` takes most of the time where there are very many files. */
function parentOf(path: string): string {
  const end = sep === '/' ? path.lastIndexOf(sep) : 0
  return end > 0 ? path.slice(0, end) : dirname(path)
}

/** A path below `parent` as it is below `folder`, which stands for that. */
function below(folder: string, path: string, parent: string): string {
  return parent === folder ? path : join(folder, path.slice(parent.length))
}

function isBelow(name: string): boolean {
  return name !== '..' && !name.startsWith(`..${sep}`) && !isAbsolute(name)
}

function blocked(path: string, why: string): TorrentError {
  const message = `${path} ${why}: move it away or choose another folder`
  return new TorrentError('ERR_STORAGE_PATH', message, { details: { path } })
}

/** What no path of a torrent may have: empty elements, `.` and `..`, what ends a name, and what the system takes for a separator. */
const unsafe: RegExp =
  sep === '/' ? /^\.{0,2}(?:\/|$)|\/\.{0,2}(?:\/|$)|\0/ : /^\.{0,2}(?:\/|$)|\/\.{0,2}(?:\/|$)|\0|\\/

/** The parser makes paths safe; this is the last door before the disk. */
function checkElements(path: string): void {
  if (!unsafe.test(path)) return
  const message = `The torrent's path ${JSON.stringify(path)} is not safe`
  throw new TorrentError('ERR_STORAGE_PATH', message, { details: { path } })
}

/** Whether a system error says that there is nothing to read at a path. */
export function isNowhere(error: unknown): boolean {
  return systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR'
}
