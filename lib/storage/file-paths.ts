import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import type { Layout } from '../metainfo/layout.ts'
import { reachesRecordFolder } from '../metainfo/record-folder.ts'
import { systemCode, TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { Steps } from '../util/turn-share.ts'
import { FolderPlaces } from './folder-places.ts'
import { parentOf, type RealFolder } from './real-folder.ts'
import type { RealFolders } from './real-folders.ts'
import type { ReservedFolders } from './reserved-folders.ts'
import type { FileStat } from './storage.ts'
import { storageError } from './storage-error.ts'
import { fileStat, isMissing, openFlags, type StorageFs, type StorageHandle } from './storage-fs.ts'

/** Paths that are checked without a pause. */
const pathsOfStep = 1000

/** Where a file of the torrent stands on disk, as far as that was found out. */
export interface Place {
  /** Absolute path without symbolic links, as it is or will be. */
  readonly path: string
  /** Whether a regular file is there. */
  readonly exists: boolean
  /** Of the file that is there. */
  readonly stat?: FileStat
}

/** How {@link FilePaths} are set up. */
export interface FilePathsOptions {
  readonly fs: StorageFs
  readonly layout: Layout
  /** Folder below which the files lie. */
  readonly root: string
  /** With the same root, if the files lie below that. */
  readonly folders: RealFolders
  /** Where no file may be. */
  readonly reserved?: ReservedFolders | undefined
  /** Paths that the user named one by one, instead of those below the root: of these all links are followed. */
  readonly given?: readonly string[] | undefined
}

/** A file behind a link. */
interface LinkedFile {
  readonly target: string
  /** Device and inode of the target. */
  readonly folder: RealFolder
}

/**
 * The real paths of a torrent's files. Under the root only those symbolic links are followed that stood there when the torrent was added;
 * the root itself may be one, and so may paths that the user named one by one.
 */
export class FilePaths {
  readonly #fs: StorageFs
  readonly #root: string
  readonly #folders: RealFolders
  readonly #places: FolderPlaces
  readonly #reserved: ReservedFolders | undefined
  readonly #layout: Layout
  /** Instead of those below the root. */
  readonly #given: readonly string[] | undefined
  readonly #linked = new LazyMap<number, LinkedFile>()

  /** The paths of the layout below the root, which {@link checkPathSteps} has passed, or those given. */
  constructor({ fs, layout, root, folders, reserved, given }: FilePathsOptions) {
    this.#fs = fs
    this.#root = resolve(root)
    this.#folders = folders
    this.#places = new FolderPlaces(folders)
    this.#reserved = reserved
    this.#layout = layout
    if (given !== undefined && given.length !== layout.files.length) {
      const message = `files has ${given.length} paths, but the torrent has ${layout.files.length} files`
      throw new TorrentError('ERR_STORAGE_PATH', message, { details: { files: given.length } })
    }
    this.#given = given?.map((path) => resolve(path))
  }

  /** Folder below which the files lie, absolute. */
  get root(): string {
    return this.#root
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
  remembering<T>(task: () => Promise<T>): Promise<T> {
    return this.#places.remembering(task)
  }

  /** Where a file would stand whose folder was found to be missing before, by the task that {@link remembering} runs; else undefined. */
  missingPath(fileIndex: number): string | undefined {
    const nominal = this.nominal(fileIndex)
    const parent = parentOf(nominal)
    const folder = this.#places.absent(parent)
    if (folder === undefined) return undefined
    const path = below(folder, nominal, parent)
    return this.#reserved?.isApart(path) === false ? undefined : path
  }

  /** Where a file stands or would stand; throws ERR_STORAGE_PATH when something else is in its way. */
  async place(fileIndex: number): Promise<Place> {
    const nominal = this.nominal(fileIndex)
    const parent = parentOf(nominal)
    try {
      const folder = await this.#places.place(parent)
      const path = below(folder.path, nominal, parent)
      this.#linked.delete(fileIndex)
      await this.#reserved?.check(path)
      if (!folder.exists) return { path, exists: false }
      const place = await this.#realFile(fileIndex, path)
      if (place.path !== path) await this.#reserved?.check(place.path)
      return place
    } catch (error) {
      throw storageError(error, 'read', nominal)
    }
  }

  /** The folder in which a file stands or would stand, if that was found or made before. */
  folder(fileIndex: number): RealFolder | undefined {
    return this.#linked.get(fileIndex)?.folder ?? this.#folders.known(parentOf(this.nominal(fileIndex)))
  }

  /** A folder that was found above the file; between the two no link is to be followed. */
  folderAbove(fileIndex: number): RealFolder | undefined {
    return this.#linked.get(fileIndex)?.folder ?? this.#folders.knownAbove(this.nominal(fileIndex))
  }

  /** The real path of a file whose folder was found before; undefined when it was not. */
  knownPath(fileIndex: number): string | undefined {
    const nominal = this.nominal(fileIndex)
    const parent = parentOf(nominal)
    const known = this.#folders.known(parent)
    return known === undefined ? undefined : below(known.path, nominal, parent)
  }

  /**
   * Makes the folders above a file where they are missing, and returns the file's real path and the folders made, from
   * the outermost on.
   */
  async makeFolder(fileIndex: number): Promise<{ path: string; made: readonly RealFolder[] }> {
    const nominal = this.nominal(fileIndex)
    const parent = parentOf(nominal)
    try {
      const above = this.#folders.knownAbove(nominal)
      if (above !== undefined) await this.#reserved?.checkFolder(above.path)
      const made = await this.#folders.make(parent)
      return { path: this.knownPath(fileIndex) ?? nominal, made }
    } catch (error) {
      throw storageError(error, 'write', nominal)
    }
  }

  /** Makes the folder below which the files lie, and those above it; returns those made. None is made for files named one by one. */
  async makeRoot(): Promise<readonly RealFolder[]> {
    if (this.#given !== undefined) return []
    try {
      return await this.#folders.make(this.#root)
    } catch (error) {
      throw storageError(error, 'write', this.#root)
    }
  }

  /**
   * Opens the file at the path that its place was, and makes sure that no link has been put in the way since.
   * @throws TorrentError ERR_STORAGE_PATH when one has; what opening throws.
   */
  async open(fileIndex: number, path: string, flags: number, mode?: number): Promise<StorageHandle> {
    const folder = this.folder(fileIndex)
    if (folder === undefined) throw Object.assign(new Error('the folder is missing'), { code: 'ENOENT' })
    if (flags !== openFlags.read) await this.#reserved?.checkFolder(folder.path)
    const handle = await this.#folders.open(folder, path, flags, mode)
    const linked = this.#linked.get(fileIndex)
    // For files that the user named, their earlier location counts.
    if (linked === undefined || this.#given !== undefined) return handle
    try {
      if ((await this.#fs.realpath(this.nominal(fileIndex))) === linked.target) return handle
    } catch (error) {
      if (!isNowhere(error)) throw error
    }
    await handle.close()
    throw blocked(this.nominal(fileIndex), `leads no more to ${linked.target}`)
  }

  /** Removes the file at the path that its place was; no fault when it is gone. What has taken its place stays. */
  async unlink(fileIndex: number, path: string): Promise<void> {
    const nominal = this.nominal(fileIndex)
    try {
      const folder = await this.#folders.current(this.folder(fileIndex)?.nominal ?? parentOf(nominal))
      if (folder === undefined || !(await this.#fs.lstat(path, { bigint: true })).isFile()) return
      await this.#fs.unlink(path)
    } catch (error) {
      if (!isNowhere(error)) throw storageError(error, 'write', path)
    }
  }

  /** Removes a folder that {@link folderName} named, if it is empty; no fault when it is gone. A link stays, and what it leads to. */
  async removeFolder(name: string): Promise<void> {
    const nominal = resolve(this.#root, name)
    const parent = dirname(nominal)
    try {
      const folder = await this.#folders.current(parent)
      if (folder === undefined) return
      const path = below(folder.path, nominal, parent)
      if (!(await this.#fs.lstat(path, { bigint: true })).isDirectory()) return
      if ((await this.#fs.readdir(path)).length === 0) await this.#fs.rmdir(path)
    } catch (error) {
      if (!isNowhere(error)) throw storageError(error, 'write', nominal)
    }
  }

  /** A folder that was made, as the torrent calls it: `a/b/`, or `./` for the root; undefined above the root. */
  folderName({ nominal }: RealFolder): string | undefined {
    const name = relative(this.#root, nominal)
    if (name === '') return './'
    return this.#given !== undefined || !isBelow(name) ? undefined : `${name.split(sep).join('/')}/`
  }

  /** The real path of a file in a real folder. */
  async #realFile(fileIndex: number, path: string): Promise<Place> {
    try {
      const stats = await this.#fs.lstat(path, { bigint: true })
      if (stats.isFile()) return { path, exists: true, stat: fileStat(stats) }
      if (stats.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' })
      if (stats.isSymbolicLink()) {
        const { path: target, stats: behind } = await this.#follow(fileIndex, path)
        const folder = behind.isFile() ? await this.#folders.find(dirname(target)) : undefined
        if (folder !== undefined) {
          this.#linked.set(fileIndex, { target, folder })
          return { path: target, exists: true, stat: fileStat(behind) }
        }
      }
    } catch (error) {
      if (isMissing(error)) return { path, exists: false }
      throw error
    }
    throw blocked(path, 'is no regular file')
  }

  /** Where a link leads that stands in the place of a file. */
  async #follow(fileIndex: number, path: string): ReturnType<RealFolders['links']['follow']> {
    if (this.#given === undefined) {
      return this.#folders.links.follow(this.#layout.files[fileIndex]?.path ?? '', path)
    }
    const target = await this.#fs.realpath(path)
    return { path: target, stats: await this.#fs.lstat(target, { bigint: true }) }
  }
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

/**
 * Checks the paths of a layout. The parser makes paths safe; this is the last door before the disk.
 * @throws TorrentError ERR_STORAGE_PATH for one that is unsafe.
 */
export function* checkPathSteps({ files }: Layout): Steps<void> {
  for (const [index, { path }] of files.entries()) {
    if (index % pathsOfStep === pathsOfStep - 1) yield
    if (!unsafe.test(path) && !reachesRecordFolder(path)) continue
    const message = `The torrent's path ${JSON.stringify(path)} is not safe`
    throw new TorrentError('ERR_STORAGE_PATH', message, { details: { path } })
  }
}

/** Whether a system error says that there is nothing to read at a path. */
export function isNowhere(error: unknown): boolean {
  return systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR'
}
