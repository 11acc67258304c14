import { dirname, resolve } from 'node:path'
import type { Layout } from '../metainfo/layout.ts'
import { TorrentError } from '../util/errors.ts'
import { runStepsInSlices, yieldToEventLoop } from '../util/slices.ts'
import { checkOffset, writtenRange } from './byte-range.ts'
import { FileBytes } from './file-bytes.ts'
import { FileOwnership } from './file-ownership.ts'
import { checkPathSteps, FilePaths } from './file-paths.ts'
import { FileStates } from './file-states.ts'
import { checkOptions, type FileStorageOptions } from './file-storage-options.ts'
import { FilesOnDisk } from './files-on-disk.ts'
import { Links } from './links.ts'
import { OperationGate } from './operation-gate.ts'
import { PartsFile } from './parts-file.ts'
import { isBelow } from './real-folder.ts'
import { RealFolders } from './real-folders.ts'
import { ReservedFolders } from './reserved-folders.ts'
import type { Storage, StorageLink, StorageSegment, StorageStats } from './storage.ts'
import { storageClosed } from './storage-error.ts'
import { nodeFs } from './storage-fs.ts'

/** Files looked at before yielding to the event loop. */
const filesOfStep = 1000

/** The parts that exist from `open` on. */
interface Opened {
  readonly layout: Layout
  readonly files: FilesOnDisk
  readonly parts: PartsFile
  readonly ownership: FileOwnership
  readonly bytes: FileBytes
}

/**
 * Storage of a torrent in files on disk. A file is created sparse by its first write (an empty one when it becomes wanted). Pad files (BEP
 * 47) and unwanted files are never created; bytes of unwanted files are kept in a {@link PartsFile} until the files become wanted. An
 * unwanted file that this storage wrote earlier stays. Files are never truncated: of one that is longer than the torrent says, only the
 * known part is used. The hidden attribute of BEP 47 is not applied.
 */
export class FileStorage implements Storage {
  readonly #options: FileStorageOptions
  readonly #gate = new OperationGate()
  #opening: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #opened: Opened | undefined
  #links: Links | undefined
  #syncing: Promise<unknown> = Promise.resolve()

  constructor(options: FileStorageOptions) {
    checkOptions(options)
    this.#options = options
  }

  /** Number of open files, at most `maxOpenFiles`, not counting the parts file. */
  get openFiles(): number {
    return this.#opened?.files.openCount ?? 0
  }

  /**
   * Paths of the torrent that `delete` removes: files that this storage created or wrote, and folders that it created (`a/b/`; the root is
   * `./`). Belongs in the resume record.
   */
  get created(): string[] {
    return this.#opened?.files.created ?? [...(this.#options.created ?? [])]
  }

  /** Symbolic links below `path` that existed when the torrent was added and are followed. Belongs in the resume record. */
  get links(): StorageLink[] | undefined {
    // All links are followed in paths that the user named one by one.
    if (this.#options.files !== undefined) return undefined
    return this.#links?.accepted ?? [...(this.#options.links ?? [])]
  }

  /** @internal Tells which files belong to the torrent; undefined before `open`. */
  get ownership(): FileOwnership | undefined {
    return this.#opened?.ownership
  }

  /** @internal Returns the absolute path of a file of the layout, whether it exists or not; undefined before `open`. */
  pathOf(fileIndex: number): string | undefined {
    return this.#opened?.files.states.all[fileIndex]?.path
  }

  /** @internal Returns the error that makes a file unreadable, as when a folder is at its path; undefined for a missing file. */
  obstacle(fileIndex: number): TorrentError | undefined {
    return this.#opened?.files.states.all[fileIndex]?.blocked
  }

  /**
   * Looks up every file, creates wanted empty ones, and moves bytes of wanted files out of the parts file. Rejects with ERR_STORAGE_PATH
   * when something else is at the path of a wanted file, and with ERR_STORAGE_IN_USE when the file belongs to another torrent.
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
   * Changes which files are wanted. Bytes of newly wanted files move out of the parts file, and empty files are created. Reads and writes
   * wait meanwhile. After a failure it can be called again; no byte is lost.
   */
  async select(wanted: readonly boolean[]): Promise<void> {
    await this.#gate.alone(() => this.#want(wanted))
    const { parts, ownership } = this.#opened ?? {}
    if (parts?.isEmpty !== false) return
    // Outside the gate, because saving the resume record uses this storage.
    await ownership?.own()
    await this.#gate.alone(() => this.#moveKept())
  }

  async read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number> {
    signal?.throwIfAborted()
    checkOffset(byteOffset)
    return this.#gate.run(() => this.#require().bytes.read(byteOffset, target, signal))
  }

  async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    checkOffset(byteOffset)
    while (!(await this.#writeOwned(byteOffset, chunks))) {
      await this.#opened?.ownership.prepare(byteOffset, chunks)
    }
  }

  /** Writes and returns true; returns false if a file must not be written yet. */
  #writeOwned(byteOffset: number, chunks: readonly Uint8Array[]): Promise<boolean> {
    return this.#gate.run(async () => {
      const { layout, ownership, bytes } = this.#require()
      const range = writtenRange(byteOffset, chunks, layout.length)
      this.#refuseReadOnly()
      if (!ownership.mayWrite(range)) return false
      await bytes.write(range, chunks)
      return true
    })
  }

  async sync(): Promise<void> {
    return this.#gate.run(async () => {
      // Flushes run in sequence: a second call must not return before the first has flushed the writes that both cover.
      const done = this.#syncing.then(() => this.#opened?.bytes.sync())
      this.#syncing = done.catch(() => {})
      await done
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#gate.close(async () => {
      await this.#opening?.catch(() => {})
      await this.#opened?.files.close()
      await this.#opened?.parts.close()
      this.#options.claims?.release(this)
    })
    return this.#closing
  }

  /**
   * Closes, then removes the files that this storage created or wrote, the parts file, and the created folders that are empty. Removes as
   * much as possible before it rejects.
   */
  async delete(): Promise<void> {
    const { files, parts } = this.#require()
    let outcomes: PromiseSettledResult<void>[] = []
    this.#closing ??= this.#gate.close(async () => {
      await files.close()
      if (this.#options.readOnly !== true) {
        outcomes = await Promise.allSettled([parts.delete(), files.remove()])
      }
      await parts.close()
      this.#options.claims?.release(this)
    })
    await this.#closing
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /**
   * Returns where bytes can be read on other threads.
   * @throws TorrentError ERR_STORAGE_PATH when something else is at the path of a file, ERR_STORAGE_READ when its folder is missing.
   */
  segments(byteOffset: number, length: number): StorageSegment[] {
    return this.#require().bytes.segments(byteOffset, length)
  }

  inPlace(fileIndex: number): boolean {
    return this.#opened?.bytes.inPlace(fileIndex) === true
  }

  /** Returns sizes and times of the files as this storage left them. */
  async stats(): Promise<StorageStats> {
    return this.#gate.run(async () => {
      const { files, parts } = this.#require()
      const stats = await files.states.stats()
      const stat = parts.isEmpty ? undefined : await parts.stat()
      return { files: stats, parts: stat === undefined ? undefined : { stat, ranges: parts.ranges } }
    })
  }

  async #open(layout: Layout, wanted: readonly boolean[]): Promise<void> {
    const { path, files: given, partsPath, folderMode, readOnly = false, onOwning } = this.#options
    const { fs = nodeFs, maxOpenFiles: maxOpen = 32, created = [] } = this.#options
    await yieldToEventLoop()
    const root = resolve(path)
    const links = new Links({ fs, recorded: this.#options.links })
    const isGiven = given !== undefined
    const folders = new RealFolders({ fs, root: isGiven ? undefined : root, links, rootMode: folderMode })
    const apart = isGiven ? [] : (this.#options.reserved ?? []).map((folder) => resolve(folder))
    const reserved = apart.length > 0 ? new ReservedFolders(fs, apart, root) : undefined
    if (!isGiven) await runStepsInSlices(checkPathSteps(layout))
    const paths = new FilePaths({ fs, layout, root, folders, reserved, given })
    const beside = dirname(resolve(partsPath))
    const partsFolders = !isGiven && isBelow(beside, root) ? folders : new RealFolders({ fs, root: beside })
    const layoutLength = layout.length
    const parts = new PartsFile({ fs, folders: partsFolders, path: partsPath, layoutLength, readOnly })
    const states = new FileStates({ fs, layout, paths })
    const made = new Set(created)
    await states.begin(made)
    const files = new FilesOnDisk({ fs, layout, paths, states, maxOpen, created: made })
    await files.begin()
    const ownership = new FileOwnership({
      layout,
      files,
      ...(onOwning === undefined ? {} : { onOwning })
    })
    const bytes = new FileBytes({ layout, paths, files, parts, ownership })
    this.#opened = { layout, files, parts, ownership, bytes }
    if (!readOnly) this.#options.claims?.claim(this, [partsPath])
    await parts.open()
    await states.probe()
    this.#links = links
    links.seal()
    partsFolders.links.seal()
    await this.#want(wanted)
    // With resume records, bytes move at the next `select`, once the record names their files.
    if (onOwning === undefined) await this.#moveKept()
  }

  #require(): Opened {
    if (!this.#gate.isOpen || this.#opened === undefined) throw storageClosed()
    return this.#opened
  }

  #refuseReadOnly(): void {
    if (this.#options.readOnly !== true) return
    const message = `${this.#options.path} was opened for reading only`
    throw new TorrentError('ERR_STORAGE_ACCESS', message, { details: { path: this.#options.path } })
  }

  /** Applies which files are wanted: claims those that may be written now, and creates empty ones. */
  async #want(wanted: readonly boolean[]): Promise<void> {
    const { readOnly = false, claims } = this.#options
    if (this.#opened === undefined) return
    const { layout, files } = this.#opened
    const states = files.states.all
    const added: number[] = []
    const mine: string[] = []
    for (let fileIndex = 0; fileIndex < states.length; fileIndex++) {
      if (fileIndex % filesOfStep === filesOfStep - 1) await yieldToEventLoop()
      const state = states[fileIndex]
      if (state === undefined || layout.files[fileIndex]?.pad !== false) continue
      if (wanted[fileIndex] !== true) state.wanted = false
      else if (!state.wanted) added.push(fileIndex)
      if (state.created) mine.push(state.path)
    }
    for (const fileIndex of added) {
      const state = states[fileIndex]
      if (state?.blocked !== undefined) await files.states.probeFile(fileIndex)
      if (state?.blocked !== undefined) throw state.blocked
      if (state?.created === false) mine.push(state.path)
    }
    if (!readOnly) claims?.claim(this, mine)
    for (let n = 0; n < added.length; n++) {
      const fileIndex = added[n] ?? 0
      if (n % filesOfStep === filesOfStep - 1) await yieldToEventLoop()
      const state = states[fileIndex]
      if (state === undefined) continue
      const isEmpty = layout.files[fileIndex]?.length === 0
      if (!readOnly && isEmpty && (await files.states.stat(fileIndex)) === undefined) {
        await files.update(fileIndex, async () => {})
      }
      state.wanted = true
    }
  }

  async #moveKept(): Promise<void> {
    if (this.#options.readOnly !== true) await this.#opened?.bytes.moveKept()
  }
}
