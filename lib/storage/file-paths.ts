import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import type { Layout } from '../metainfo/layout.ts'
import { reachesRecordFolder } from '../metainfo/record-folder.ts'
import { systemCode, TorrentError } from '../util/errors.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { Steps } from '../util/slices.ts'
import { FolderPlaces } from './folder-places.ts'
import { parentOf, type RealFolder } from './real-folder.ts'
import type { RealFolders } from './real-folders.ts'
import type { ReservedFolders } from './reserved-folders.ts'
import type { FileStat } from './storage.ts'
import { storageError } from './storage-error.ts'
import { fileStat, isMissing, openFlags, type StorageFs, type StorageHandle } from './storage-fs.ts'

/** Paths checked before yielding to the event loop. */
const pathsOfStep = 1000

/** Location of a file of the torrent on disk. */
export interface Place {
  /** Absolute path without symbolic links; also for a file that does not exist yet. */
  readonly path: string
  /** Whether a regular file is there. */
  readonly exists: boolean
  readonly stat?: FileStat
}

/** Options of {@link FilePaths}. */
export interface FilePathsOptions {
  readonly fs: StorageFs
  readonly layout: Layout
  /** Folder that contains the files. */
  readonly root: string
  /** Must have the same root, if the files are below the root. */
  readonly folders: RealFolders
  /** Folders in which no file may be. */
  readonly reserved?: ReservedFolders | undefined
  /** Paths that the user named one by one, used instead of paths below the root; all their links are followed. */
  readonly given?: readonly string[] | undefined
}

/** A file behind a link. */
interface LinkedFile {
  readonly target: string
  /** Device and inode of the target's folder. */
  readonly folder: RealFolder
}

/**
 * The real paths of a torrent's files. Under the root, only symbolic links that existed when the torrent was added are followed. The root
 * itself may be a link, and so may paths that the user named one by one.
 */
export class FilePaths {
  readonly #fs: StorageFs
  readonly #root: string
  readonly #folders: RealFolders
  readonly #places: FolderPlaces
  readonly #reserved: ReservedFolders | undefined
  readonly #layout: Layout
  /** Used instead of paths below the root. */
  readonly #given: readonly string[] | undefined
  readonly #linked = new LazyMap<number, LinkedFile>()

  /** Takes the layout's paths below the root, which must have passed {@link checkPathSteps}, or the given paths. */
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

  /** Absolute path of the folder that contains the files. */
  get root(): string {
    return this.#root
  }

  /** Returns the path of a file before symbolic links are followed. */
  nominal(fileIndex: number): string {
    const file = this.#layout.files[fileIndex]
    if (file === undefined) throw new RangeError(`there is no file ${fileIndex}`)
    const given = this.#given?.[fileIndex]
    if (given !== undefined) return given
    // join() would take most of the time when there are very many files; the elements were already checked.
    const path = sep === '/' ? file.path : file.path.replaceAll('/', sep)
    return this.#root.endsWith(sep) ? this.#root + path : this.#root + sep + path
  }

  /** Runs a task that looks up many files and caches missing folders while it runs. */
  remembering<T>(task: () => Promise<T>): Promise<T> {
    return this.#places.remembering(task)
  }

  /** Returns the path of a file whose folder was found missing by the current {@link remembering} task; otherwise undefined. */
  missingPath(fileIndex: number): string | undefined {
    const nominal = this.nominal(fileIndex)
    const parent = parentOf(nominal)
    const folder = this.#places.absent(parent)
    if (folder === undefined) return undefined
    const path = below(folder, nominal, parent)
    return this.#reserved?.isApart(path) === false ? undefined : path
  }

  /** Finds the location of a file; throws ERR_STORAGE_PATH when something else is at its path. */
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

  /** Returns the folder of a file, if it was found or made before. */
  folder(fileIndex: number): RealFolder | undefined {
    return this.#linked.get(fileIndex)?.folder ?? this.#folders.known(parentOf(this.nominal(fileIndex)))
  }

  /** Returns the nearest known folder above a file; links between the two must not be followed. */
  folderAbove(fileIndex: number): RealFolder | undefined {
    return this.#linked.get(fileIndex)?.folder ?? this.#folders.knownAbove(this.nominal(fileIndex))
  }

  /** Returns the real path of a file whose folder was found before; otherwise undefined. */
  knownPath(fileIndex: number): string | undefined {
    const nominal = this.nominal(fileIndex)
    const parent = parentOf(nominal)
    const known = this.#folders.known(parent)
    return known === undefined ? undefined : below(known.path, nominal, parent)
  }

  /** Creates the missing folders above a file. Returns the file's real path and the created folders, outermost first. */
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

  /** Creates the root folder and those above it, and returns the created ones. Creates none for files named one by one. */
  async makeRoot(): Promise<readonly RealFolder[]> {
    if (this.#given !== undefined) return []
    try {
      return await this.#folders.make(this.#root)
    } catch (error) {
      throw storageError(error, 'write', this.#root)
    }
  }

  /**
   * Opens a file at its known path and checks that no link was put in the way since.
   * @throws TorrentError ERR_STORAGE_PATH when a link was; errors of opening pass through.
   */
  async open(fileIndex: number, path: string, flags: number, mode?: number): Promise<StorageHandle> {
    const folder = this.folder(fileIndex)
    if (folder === undefined) throw Object.assign(new Error('the folder is missing'), { code: 'ENOENT' })
    if (flags !== openFlags.read) await this.#reserved?.checkFolder(folder.path)
    const handle = await this.#folders.open(folder, path, flags, mode)
    const linked = this.#linked.get(fileIndex)
    // Links to files that the user named may change after the file was located.
    if (linked === undefined || this.#given !== undefined) return handle
    try {
      if ((await this.#fs.realpath(this.nominal(fileIndex))) === linked.target) return handle
    } catch (error) {
      if (!isNowhere(error)) throw error
    }
    await handle.close()
    throw blocked(this.nominal(fileIndex), `no longer leads to ${linked.target}`)
  }

  /** Deletes a file at its known path; does nothing when it is gone. Anything else found at the path stays. */
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

  /** Removes a folder named by {@link folderName}, if it is empty; does nothing when it is gone. Links and their targets stay. */
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

  /** Returns the torrent's name for a created folder: `a/b/`, or `./` for the root; undefined above the root. */
  folderName({ nominal }: RealFolder): string | undefined {
    const name = relative(this.#root, nominal)
    if (name === '') return './'
    return this.#given !== undefined || !isBelow(name) ? undefined : `${name.split(sep).join('/')}/`
  }

  /** Returns the location of a file in a real folder. */
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
    throw blocked(path, 'is not a regular file')
  }

  async #follow(fileIndex: number, path: string): ReturnType<RealFolders['links']['follow']> {
    if (this.#given === undefined) {
      return this.#folders.links.follow(this.#layout.files[fileIndex]?.path ?? '', path)
    }
    const target = await this.#fs.realpath(path)
    return { path: target, stats: await this.#fs.lstat(target, { bigint: true }) }
  }
}

/** Maps a path below `parent` to the same path below `folder`. */
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

/** Matches unsafe paths: empty elements, `.`, `..`, NUL, and a separator of the system inside an element. */
const unsafe: RegExp =
  sep === '/' ? /^\.{0,2}(?:\/|$)|\/\.{0,2}(?:\/|$)|\0/ : /^\.{0,2}(?:\/|$)|\/\.{0,2}(?:\/|$)|\0|\\/

/**
 * Checks the paths of a layout: a second check, because the parser already makes paths safe.
 * @throws TorrentError ERR_STORAGE_PATH for an unsafe path.
 */
export function* checkPathSteps({ files }: Layout): Steps<void> {
  for (const [index, { path }] of files.entries()) {
    if (index % pathsOfStep === pathsOfStep - 1) yield
    if (!unsafe.test(path) && !reachesRecordFolder(path)) continue
    const message = `The torrent's path ${JSON.stringify(path)} is not safe`
    throw new TorrentError('ERR_STORAGE_PATH', message, { details: { path } })
  }
}

/** Returns whether a system error means that nothing exists at a path. */
export function isNowhere(error: unknown): boolean {
  return systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR'
}
