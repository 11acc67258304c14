import { dirname } from 'node:path'
import type { Layout } from '../metainfo/layout.ts'
import { systemCode, TorrentError } from '../util/errors.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { runStepsInSlices, type Steps } from '../util/slices.ts'
import { type FilePaths, isNowhere } from './file-paths.ts'
import { FilePool } from './file-pool.ts'
import type { FileState, FileStates } from './file-states.ts'
import type { RealFolder } from './real-folder.ts'
import { storageClosed, storageError } from './storage-error.ts'
import {
  isMissing,
  openFlags,
  readAll,
  type StorageFs,
  type StorageHandle,
  syncFolder
} from './storage-fs.ts'

/** Options of {@link FilesOnDisk}. */
export interface FilesOnDiskOptions {
  readonly fs: StorageFs
  readonly layout: Layout
  readonly paths: FilePaths
  readonly states: FileStates
  /** Maximum number of open files. */
  readonly maxOpen: number
  /** Paths that an earlier storage of this torrent reported as created; paths outside the torrent are ignored. */
  readonly created: ReadonlySet<string>
}

/** Files flushed or removed in parallel. */
const parallel = 16
/** Files and folders looked up before yielding to the event loop. */
const looksOfStep = 2000

/**
 * Reads, writes, flushes and removes the files of a torrent by index. Records in {@link FileStates} which files it created, and tracks
 * which files await a flush and which folders were created here.
 */
export class FilesOnDisk {
  /** Returns the error for a file with content that appeared where one was missing; without this callback such a file is used. */
  onTaken: ((fileIndex: number, path: string) => TorrentError) | undefined
  readonly states: FileStates
  readonly #fs: StorageFs
  readonly #layout: Layout
  readonly #paths: FilePaths
  readonly #pool: FilePool<StorageHandle>
  readonly #created: ReadonlySet<string>
  readonly #dirtyFiles = new LazySet<number>()
  readonly #dirtyFolders = new LazySet<string>()
  /** Folders created here, as `a/b/` below the root. */
  readonly #folders = new LazySet<string>()

  constructor({ fs, layout, paths, states, maxOpen, created }: FilesOnDiskOptions) {
    this.#fs = fs
    this.states = states
    this.#layout = layout
    this.#paths = paths
    this.#pool = new FilePool((fileIndex, write) => this.#open(fileIndex, write), { maxOpen })
    this.#created = created
    if (this.#created.has('./')) this.#folders.add('./')
  }

  /** Number of open handles. */
  get openCount(): number {
    return this.#pool.openCount
  }

  /** Files created or written here, and folders created here (`a/b/`; the root is `./`). */
  get created(): string[] {
    const files = this.#layout.files.filter((_, index) => this.states.all[index]?.created === true)
    return [...files.map(({ path }) => path), ...this.#folders]
  }

  /** Adds the folders named by the `created` option to those created here, without touching the disk; call it once, first. */
  async begin(): Promise<void> {
    const hasFolders = [...this.#created].some((name) => name.endsWith('/') && name !== './')
    if (hasFolders) await runStepsInSlices(this.#folderSteps())
  }

  /** Reads into `target` from a file; returns the number of bytes read, 0 for a missing file. */
  async read(fileIndex: number, fileOffset: number, target: Uint8Array): Promise<number> {
    const state = this.states.all[fileIndex]
    if (state === undefined || state.blocked !== undefined) return 0
    try {
      return await this.#pool.use(fileIndex, false, (handle) => readAll(handle, target, fileOffset))
    } catch (error) {
      if (isNowhere(error)) return 0
      throw storageError(error, 'read', state.path)
    }
  }

  /** Runs a task with a file open for writing; creates the file if it is missing. */
  async update(fileIndex: number, task: (handle: StorageHandle) => Promise<void>): Promise<void> {
    const state = this.states.all[fileIndex]
    if (state === undefined) return
    if (state.blocked !== undefined) throw state.blocked
    // Repeated at the end, because the task changes the file.
    this.states.forget(fileIndex)
    try {
      await this.#pool.use(fileIndex, true, (handle) => {
        state.created = true
        return task(handle)
      })
    } catch (error) {
      throw storageError(error, 'write', state.path)
    } finally {
      // Marked dirty only now: a flush during the task would have cleared the mark.
      this.#dirtyFiles.add(fileIndex)
      this.states.forget(fileIndex)
    }
  }

  /** Creates the root folder if it is missing. */
  async makeRoot(): Promise<void> {
    this.#noteMade(await this.#paths.makeRoot())
  }

  /** Flushes all writes since the last call, and the folders in which files were created. */
  async flush(): Promise<void> {
    const files = [...this.#dirtyFiles]
    const folders = [...this.#dirtyFolders]
    this.#dirtyFiles.clear()
    this.#dirtyFolders.clear()
    const flushFile = async (index: number): Promise<void> => {
      const fileIndex = files[index]
      const state = fileIndex === undefined ? undefined : this.states.all[fileIndex]
      if (fileIndex === undefined || state === undefined) return
      try {
        // A file that others removed must not be created again.
        if ((await this.states.stat(fileIndex)) === undefined) return
        await this.#pool.use(fileIndex, true, (handle) => handle.datasync())
      } catch (error) {
        throw storageError(error, 'write', state.path)
      }
    }
    try {
      await forEachLimit(files.length, parallel, flushFile)
    } catch (error) {
      // The files after the failed one were not flushed.
      for (const fileIndex of files) this.#dirtyFiles.add(fileIndex)
      for (const folder of folders) this.#dirtyFolders.add(folder)
      throw error
    }
    for (const folder of folders) {
      try {
        await syncFolder(this.#fs, folder)
      } catch (error) {
        for (const rest of folders) this.#dirtyFolders.add(rest)
        throw storageError(error, 'write', folder)
      }
    }
    const failure = this.#pool.takeFailure()
    if (failure !== undefined) throw storageError(failure, 'write', this.#paths.root)
  }

  /** Closes all handles; idempotent. */
  async close(): Promise<void> {
    await this.#pool.close()
  }

  /** Removes the files created or written here, then the empty folders created here; continues after a failure. */
  async remove(): Promise<void> {
    const faults: unknown[] = []
    const made = this.states.all.flatMap(({ created }, fileIndex) => (created ? [fileIndex] : []))
    await forEachLimit(made.length, parallel, async (n) => {
      const fileIndex = made[n] ?? 0
      const path = this.states.all[fileIndex]?.path ?? ''
      await this.#paths.unlink(fileIndex, path).catch((error: unknown) => faults.push(error))
    })
    // Deepest first.
    const folders = [...this.#folders].sort((a, b) => depth(b) - depth(a))
    for (const folder of folders) {
      await this.#paths.removeFolder(folder).catch((error: unknown) => faults.push(error))
    }
    if (faults.length > 0) throw faults[0]
  }

  async #open(fileIndex: number, write: boolean): Promise<StorageHandle> {
    const state = this.states.all[fileIndex]
    if (state === undefined) throw storageClosed()
    if (!write) return this.#openFound(fileIndex, state, openFlags.read)
    const known = state.missing ? this.#paths.knownPath(fileIndex) : undefined
    if (known !== undefined) {
      try {
        return await this.#create(fileIndex, state, known)
      } catch (error) {
        // A link is in the way; any other cause shows up again below.
        if (error instanceof TorrentError) throw error
      }
    }
    try {
      return await this.#checked(fileIndex, state, await this.#openFound(fileIndex, state, openFlags.update))
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    const { path, made } = await this.#paths.makeFolder(fileIndex)
    this.#noteMade(made)
    try {
      return await this.#create(fileIndex, state, path)
    } catch (error) {
      // Another program created it meanwhile.
      if (systemCode(error) !== 'EEXIST') throw error
      return this.#checked(fileIndex, state, await this.#paths.open(fileIndex, path, openFlags.update))
    }
  }

  /** Returns the handle of a file that was not created here; closes and refuses it if the file appeared where one was missing. */
  async #checked(fileIndex: number, state: FileState, handle: StorageHandle): Promise<StorageHandle> {
    if (!state.missing || this.onTaken === undefined) return handle
    const { size } = await handle.stat({ bigint: true })
    if (size === 0n) return handle
    await handle.close()
    // Another write may have created the file meanwhile.
    if (!state.missing) return this.#open(fileIndex, true)
    throw this.onTaken(fileIndex, state.path)
  }

  #noteMade(made: readonly RealFolder[]): void {
    for (const folder of made) {
      this.#dirtyFolders.add(dirname(folder.path))
      const name = this.#paths.folderName(folder)
      if (name !== undefined) this.#folders.add(name)
    }
  }

  async #openFound(fileIndex: number, state: FileState, flags: number): Promise<StorageHandle> {
    // The folder may have appeared since the last lookup.
    if (this.#paths.folder(fileIndex) === undefined) state.path = (await this.#paths.place(fileIndex)).path
    return this.#paths.open(fileIndex, state.path, flags)
  }

  async #create(fileIndex: number, state: FileState, path: string): Promise<StorageHandle> {
    const mode = this.#layout.files[fileIndex]?.executable === true ? 0o777 : 0o666
    const handle = await this.#paths.open(fileIndex, path, openFlags.create, mode)
    state.path = path
    state.missing = false
    this.#dirtyFolders.add(dirname(path))
    return handle
  }

  *#folderSteps(): Steps<void> {
    let looks = 0
    for (const { path } of this.#layout.files) {
      if (++looks >= looksOfStep) {
        yield
        looks = 0
      }
      for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
        const folder = path.slice(0, at + 1)
        if (this.#created.has(folder)) this.#folders.add(folder)
        looks++
      }
    }
  }
}

/** Returns the depth of a folder below the root, whose name is `./`. */
function depth(name: string): number {
  return name === './' ? 0 : name.split('/').length
}
