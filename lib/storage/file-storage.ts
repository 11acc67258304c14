import { dirname } from 'node:path'
import type { Layout } from '../metainfo/layout.ts'
import { TorrentError } from '../util/errors.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { ChunkCursor } from './chunk-cursor.ts'
import { FilePaths, isNowhere } from './file-paths.ts'
import { FilePool } from './file-pool.ts'
import { OperationGate } from './operation-gate.ts'
import { PartsFile } from './parts-file.ts'
import type { FileStat, Storage, StorageSegment, StorageStats } from './storage.ts'
import type { StorageClaims } from './storage-claims.ts'
import { storageClosed, storageError } from './storage-error.ts'
import {
  isMissing,
  nodeFs,
  openFlags,
  readAll,
  type StorageFs,
  type StorageHandle,
  syncFolder,
  writeAll
} from './storage-fs.ts'

/** How a {@link FileStorage} is set up. */
export interface FileStorageOptions {
  /** Folder under which the torrent's paths lie; made with the first file. */
  readonly path: string
  /** Absolute path of each file of the layout, for files that lie in different folders; `path` is then not used. */
  readonly files?: readonly string[]
  /** The file that keeps bytes of unwanted files; it appears only when there are such bytes. */
  readonly partsPath: string
  /** Most files that are open at a time. Default 64. */
  readonly maxOpenFiles?: number
  /** Nothing is created, written or claimed; writes reject with ERR_STORAGE_ACCESS. */
  readonly readOnly?: boolean
  /** Mode of the root folder when it is made, before the umask. Default 0o777. */
  readonly folderMode?: number
  /** What an earlier storage of this torrent reported as {@link FileStorage.created}. */
  readonly created?: readonly string[]
  /** Shared with the other storages of the process, so that no two write to one file. */
  readonly claims?: StorageClaims
  /** Instead of the real file system. */
  readonly fs?: StorageFs
}

/** What is known of one file. */
interface FileState {
  wanted: boolean
  /** Real path, as it is or will be. */
  path: string
  /** Why the file cannot be, when something else is in its place. */
  blocked: TorrentError | undefined
  /** Whether this storage made the file or wrote to it. */
  created: boolean
}

const parallelStats = 16
const moveLength = 1 << 20

/**
 * A torrent's bytes in files on disk. Files appear sparse with their first write (empty ones when they become wanted),
 * pad files never (BEP 47), unwanted files never: their bytes are kept in a {@link PartsFile} until they become wanted.
 * An unwanted file that this storage wrote earlier stays where it is. No file is ever shortened: of one that is longer
 * than the torrent says, only the known part is used. The hidden attribute of BEP 47 is not applied.
 */
export class FileStorage implements Storage {
  readonly #options: FileStorageOptions
  readonly #fs: StorageFs
  readonly #gate = new OperationGate()
  readonly #pool: FilePool<StorageHandle>
  readonly #dirtyFiles = new Set<number>()
  readonly #dirtyFolders = new Set<string>()
  /** Folders that this storage made, as `a/b/` below the root. */
  readonly #folders = new Set<string>()
  #opening: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #layout: Layout | undefined
  #paths: FilePaths | undefined
  #parts: PartsFile | undefined
  #states: FileState[] = []
  #syncing: Promise<unknown> = Promise.resolve()

  constructor(options: FileStorageOptions) {
    const { maxOpenFiles = 64, fs = nodeFs } = options
    if (!Number.isInteger(maxOpenFiles) || maxOpenFiles < 1) {
      throw new RangeError(`maxOpenFiles must be a positive integer, not ${maxOpenFiles}`)
    }
    this.#options = options
    this.#fs = fs
    this.#pool = new FilePool((fileIndex, write) => this.#openFile(fileIndex, write), {
      maxOpen: maxOpenFiles
    })
  }

  /** Files that are open now; never more than `maxOpenFiles`, the parts file apart. */
  get openFiles(): number {
    return this.#pool.openCount
  }

  /**
   * What `delete` removes, as paths of the torrent: files that this storage made or wrote to, and folders that it made
   * (`a/b/`, the root is `./`). Belongs into the resume record.
   */
  get created(): string[] {
    if (this.#layout === undefined) return [...(this.#options.created ?? [])]
    const files = this.#layout.files.filter((_, index) => this.#states[index]?.created === true)
    return [...files.map(({ path }) => path), ...this.#folders]
  }

  /**
   * Looks at every file, makes wanted empty ones, and moves kept bytes of wanted ones to their place. Something else in
   * the place of a wanted file rejects with ERR_STORAGE_PATH, a file of another torrent with ERR_STORAGE_IN_USE.
   */
  async open(layout: Layout, wanted: readonly boolean[]): Promise<void> {
    if (this.#opening !== undefined || this.#closing !== undefined) throw storageClosed()
    this.#opening = this.#open(layout, wanted)
    try {
      await this.#opening
    } catch (error) {
      await this.close()
      throw error
    }
    this.#gate.open()
    this.#require()
  }

  /**
   * Changes which files are wanted: kept bytes of newly wanted ones move to their place, empty ones appear. Reads and
   * writes wait meanwhile. After a failure it can be called again; no byte is lost.
   */
  async select(wanted: readonly boolean[]): Promise<void> {
    await this.#gate.alone(() => this.#want(wanted))
  }

  async read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number> {
    signal?.throwIfAborted()
    checkOffset(byteOffset)
    return this.#gate.run(async () => {
      let at = 0
      for (const span of this.#require().spans({ start: byteOffset, end: byteOffset + target.byteLength })) {
        signal?.throwIfAborted()
        const part = span.length === target.byteLength ? target : target.subarray(at, at + span.length)
        const count = await this.#readSpan(span.fileIndex, span.fileOffset, part)
        at += count
        if (count < span.length) break
      }
      return at
    })
  }

  async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    const length = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
    checkOffset(byteOffset)
    return this.#gate.run(async () => {
      const layout = this.#require()
      const end = byteOffset + length
      if (end > layout.length) {
        throw new RangeError(`bytes ${byteOffset} to ${end} leave the torrent of ${layout.length} bytes`)
      }
      this.#refuseReadOnly()
      const source = new ChunkCursor(chunks)
      for (const span of layout.spans({ start: byteOffset, end })) {
        await this.#writeSpan(span.fileIndex, span.fileOffset, source.take(span.length))
      }
    })
  }

  async sync(): Promise<void> {
    return this.#gate.run(async () => {
      // One after the other, so that a second call does not return before the first has flushed what both cover.
      const done = this.#syncing.then(() => this.#sync())
      this.#syncing = done.catch(() => {})
      await done
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#gate.close(async () => {
      await this.#opening?.catch(() => {})
      await this.#pool.close()
      await this.#parts?.close()
      this.#options.claims?.release(this)
    })
    return this.#closing
  }

  /**
   * Closes, then removes the files that this storage made or wrote to, the parts file, and the folders that it made as
   * far as they are empty. Removes all it can before it rejects.
   */
  async delete(): Promise<void> {
    if (!this.#gate.isOpen) throw storageClosed()
    let failure: unknown
    const attempt = async (task: () => Promise<void>): Promise<void> => {
      await task().catch((error: unknown) => {
        failure ??= error
      })
    }
    this.#closing ??= this.#gate.close(async () => {
      await this.#pool.close()
      for (const state of this.#states) if (state.created) await attempt(() => this.#unlink(state.path))
      if (this.#options.readOnly !== true) await attempt(async () => this.#parts?.delete())
      await attempt(async () => this.#parts?.close())
      const folders = [...this.#folders].map((name) => this.#paths?.folderPath(name) ?? '')
      for (const folder of folders.sort((a, b) => b.length - a.length)) {
        await attempt(() => this.#removeFolder(folder))
      }
      this.#options.claims?.release(this)
    })
    await this.#closing
    if (failure !== undefined) throw failure
  }

  /** Where bytes can be read by others; throws ERR_STORAGE_PATH when something else is in the place of a file. */
  segments(byteOffset: number, length: number): StorageSegment[] {
    const layout = this.#require()
    const segments: StorageSegment[] = []
    for (const span of layout.spans({ start: byteOffset, end: byteOffset + length })) {
      const file = layout.files[span.fileIndex]
      const state = this.#states[span.fileIndex]
      if (file === undefined || state === undefined) continue
      if (file.pad) {
        segments.push({ path: undefined, fileOffset: span.fileOffset, length: span.length })
        continue
      }
      for (let at = 0; at < span.length; ) {
        const start = file.offset + span.fileOffset + at
        const kept = this.#parts?.find(start)
        const end = Math.min(start - at + span.length, kept?.end ?? this.#parts?.nextStart(start) ?? Infinity)
        if (kept === undefined && state.blocked !== undefined) throw state.blocked
        segments.push(
          kept === undefined
            ? { path: state.path, fileOffset: start - file.offset, length: end - start }
            : { path: this.#options.partsPath, fileOffset: kept.position, length: end - start }
        )
        at += end - start
      }
    }
    return segments
  }

  /** Sizes and times of the files as they are now. */
  async stats(): Promise<StorageStats> {
    return this.#gate.run(async () => {
      const files: (FileStat | undefined)[] = this.#states.map(() => undefined)
      await forEachLimit(files.length, parallelStats, async (index) => {
        const state = this.#states[index]
        if (state === undefined || state.blocked !== undefined || this.#isPad(index)) return
        files[index] = await this.#stat(state.path)
      })
      const parts = this.#parts
      const stat = parts?.isEmpty === false ? await parts.stat() : undefined
      return {
        files,
        parts: parts !== undefined && stat !== undefined ? { stat, ranges: parts.ranges } : undefined
      }
    })
  }

  async #open(layout: Layout, wanted: readonly boolean[]): Promise<void> {
    const { path, files, partsPath, folderMode, readOnly = false, claims } = this.#options
    const paths = new FilePaths(this.#fs, layout, path, files, folderMode)
    const parts = new PartsFile(this.#fs, partsPath, layout.length, readOnly)
    const created = this.#knownFolders(layout)
    this.#layout = layout
    this.#paths = paths
    this.#parts = parts
    this.#states = layout.files.map(({ path }, fileIndex) => ({
      wanted: false,
      path: paths.nominal(fileIndex),
      blocked: undefined,
      created: created.has(path)
    }))
    if (!readOnly) claims?.claim(this, [partsPath])
    await parts.open()
    await this.#probe()
    await this.#want(wanted)
  }

  #require(): Layout {
    if (!this.#gate.isOpen || this.#layout === undefined) throw storageClosed()
    return this.#layout
  }

  #isPad(fileIndex: number): boolean {
    return this.#layout?.files[fileIndex]?.pad !== false
  }

  #refuseReadOnly(): void {
    if (this.#options.readOnly !== true) return
    const message = `${this.#options.path} was opened for reading only`
    throw new TorrentError('ERR_STORAGE_ACCESS', message, { details: { path: this.#options.path } })
  }

  /** The `created` option, as far as it names what belongs to this torrent; folders are kept, files returned. */
  #knownFolders(layout: Layout): Set<string> {
    const created = new Set(this.#options.created)
    if (created.has('./')) this.#folders.add('./')
    for (const { path } of layout.files) {
      for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
        if (created.has(path.slice(0, at + 1))) this.#folders.add(path.slice(0, at + 1))
      }
    }
    return created
  }

  async #probe(): Promise<void> {
    await forEachLimit(this.#states.length, parallelStats, async (index) => {
      const state = this.#states[index]
      if (state !== undefined && !this.#isPad(index)) await this.#probeFile(index, state)
    })
  }

  async #probeFile(fileIndex: number, state: FileState): Promise<void> {
    state.blocked = undefined
    try {
      const place = await this.#paths?.place(fileIndex)
      if (place === undefined) return
      state.path = place.path
      // Somebody removed it, so a new one would not be the one that was made here.
      if (!place.exists) state.created = false
    } catch (error) {
      state.blocked = storageError(error, 'read', state.path)
    }
  }

  async #want(wanted: readonly boolean[]): Promise<void> {
    const { readOnly = false, claims } = this.#options
    const added: { fileIndex: number; state: FileState }[] = []
    for (const [fileIndex, state] of this.#states.entries()) {
      if (this.#isPad(fileIndex)) continue
      if (wanted[fileIndex] !== true) state.wanted = false
      else if (!state.wanted) added.push({ fileIndex, state })
    }
    for (const { fileIndex, state } of added) {
      if (state.blocked !== undefined) await this.#probeFile(fileIndex, state)
      if (state.blocked !== undefined) throw state.blocked
    }
    const adding = new Set(added.map(({ state }) => state))
    const mine = this.#states.filter((state) => state.created || adding.has(state))
    if (!readOnly)
      claims?.claim(
        this,
        mine.map(({ path }) => path)
      )
    for (const { fileIndex, state } of added) {
      if (!readOnly) await this.#appear(fileIndex, state)
      state.wanted = true
    }
  }

  /** Makes an empty file, and moves what is kept of a longer one to its place. */
  async #appear(fileIndex: number, state: FileState): Promise<void> {
    const file = this.#layout?.files[fileIndex]
    const parts = this.#parts
    if (file === undefined || parts === undefined) return
    if (file.length === 0) {
      if ((await this.#stat(state.path)) === undefined) await this.#withFile(fileIndex, async () => {})
      return
    }
    const end = file.offset + file.length
    let moved = false
    for (let at = file.offset; at < end && !parts.isEmpty; ) {
      const kept = parts.find(at)
      if (kept === undefined) at = parts.nextStart(at)
      else {
        const bytes = new Uint8Array(Math.min(kept.end - at, moveLength))
        const count = await parts.read(kept.position, bytes)
        if (count === 0) break
        await this.#withFile(fileIndex, (handle) =>
          writeAll(handle, [bytes.subarray(0, count)], at - file.offset)
        )
        at += count
        moved = true
      }
    }
    if (!moved) return
    // The copy must be safe before the original goes.
    await this.#withFile(fileIndex, (handle) => handle.datasync())
    await syncFolder(this.#fs, dirname(state.path))
    await parts.remove({ start: file.offset, end })
  }

  async #readSpan(fileIndex: number, fileOffset: number, target: Uint8Array): Promise<number> {
    const file = this.#layout?.files[fileIndex]
    const parts = this.#parts
    if (file === undefined || parts === undefined) return 0
    if (file.pad) {
      target.fill(0)
      return target.byteLength
    }
    if (parts.isEmpty) return this.#readFile(fileIndex, fileOffset, target)
    let at = 0
    while (at < target.byteLength) {
      const start = file.offset + fileOffset + at
      const kept = parts.find(start)
      const length = Math.min(target.byteLength - at, (kept?.end ?? parts.nextStart(start)) - start)
      const part = target.subarray(at, at + length)
      const count =
        kept === undefined
          ? await this.#readFile(fileIndex, fileOffset + at, part)
          : await parts.read(kept.position, part)
      at += count
      if (count < length) break
    }
    return at
  }

  async #readFile(fileIndex: number, fileOffset: number, target: Uint8Array): Promise<number> {
    const state = this.#states[fileIndex]
    if (state === undefined || state.blocked !== undefined) return 0
    try {
      return await this.#pool.use(fileIndex, false, (handle) => readAll(handle, target, fileOffset))
    } catch (error) {
      if (isNowhere(error)) return 0
      throw storageError(error, 'read', state.path)
    }
  }

  async #writeSpan(fileIndex: number, fileOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    const file = this.#layout?.files[fileIndex]
    const state = this.#states[fileIndex]
    const parts = this.#parts
    if (file === undefined || state === undefined || parts === undefined || file.pad) return
    const start = file.offset + fileOffset
    const end = start + chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
    // Kept bytes hide those of the file, which matters when a move to it has failed half-way.
    const hidden = parts.find(start) !== undefined || parts.nextStart(start) < end
    if ((state.wanted || state.created) && !hidden) {
      await this.#withFile(fileIndex, (handle) => writeAll(handle, chunks, fileOffset))
      return
    }
    let byteOffset = start
    for (const chunk of chunks) {
      await parts.write(byteOffset, chunk)
      byteOffset += chunk.byteLength
    }
  }

  /** Runs a task with a file that may be written, and remembers that it was. */
  async #withFile(fileIndex: number, task: (handle: StorageHandle) => Promise<void>): Promise<void> {
    const state = this.#states[fileIndex]
    if (state === undefined) return
    if (state.blocked !== undefined) throw state.blocked
    try {
      await this.#pool.use(fileIndex, true, (handle) => {
        state.created = true
        return task(handle)
      })
    } catch (error) {
      throw storageError(error, 'write', state.path)
    } finally {
      // Only now: a flush that runs meanwhile takes the file off the list.
      this.#dirtyFiles.add(fileIndex)
    }
  }

  async #openFile(fileIndex: number, write: boolean): Promise<StorageHandle> {
    const state = this.#states[fileIndex]
    if (state === undefined || this.#paths === undefined) throw storageClosed()
    if (!write) return this.#fs.open(state.path, openFlags.read)
    try {
      return await this.#fs.open(state.path, openFlags.update)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    const { path, made } = await this.#paths.makeFolder(fileIndex)
    const mode = this.#layout?.files[fileIndex]?.executable === true ? 0o777 : 0o666
    const handle = await this.#fs.open(path, openFlags.create, mode)
    state.path = path
    this.#dirtyFolders.add(dirname(path))
    for (const folder of made) {
      this.#dirtyFolders.add(dirname(folder))
      const name = this.#paths.folderName(folder)
      if (name !== undefined) this.#folders.add(name)
    }
    return handle
  }

  async #sync(): Promise<void> {
    const files = [...this.#dirtyFiles]
    const folders = [...this.#dirtyFolders]
    this.#dirtyFiles.clear()
    this.#dirtyFolders.clear()
    const flush = async (index: number): Promise<void> => {
      const fileIndex = files[index]
      const state = fileIndex === undefined ? undefined : this.#states[fileIndex]
      if (fileIndex === undefined || state === undefined) return
      try {
        // One that was removed by others must not appear again.
        if ((await this.#stat(state.path)) === undefined) return
        await this.#pool.use(fileIndex, true, (handle) => handle.datasync())
      } catch (error) {
        throw storageError(error, 'write', state.path)
      }
    }
    try {
      await forEachLimit(files.length, parallelStats, flush)
    } catch (error) {
      // Those after it were not reached.
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
    await this.#parts?.sync()
    const failure = this.#pool.takeFailure()
    if (failure !== undefined) throw storageError(failure, 'write', this.#options.path)
  }

  async #stat(path: string): Promise<FileStat | undefined> {
    try {
      const stats = await this.#fs.stat(path, { bigint: true })
      return stats.isFile() ? { size: Number(stats.size), mtimeNs: stats.mtimeNs } : undefined
    } catch (error) {
      if (isNowhere(error)) return undefined
      throw storageError(error, 'read', path)
    }
  }

  async #unlink(path: string): Promise<void> {
    try {
      await this.#fs.unlink(path)
    } catch (error) {
      if (!isNowhere(error)) throw storageError(error, 'write', path)
    }
  }

  async #removeFolder(path: string): Promise<void> {
    try {
      if ((await this.#fs.readdir(path)).length === 0) await this.#fs.rmdir(path)
    } catch (error) {
      if (!isNowhere(error)) throw storageError(error, 'write', path)
    }
  }
}

function checkOffset(byteOffset: number): void {
  if (!Number.isSafeInteger(byteOffset) || byteOffset < 0) {
    throw new RangeError(`byteOffset must be a non-negative integer, not ${byteOffset}`)
  }
}
