import { dirname, resolve } from 'node:path'
import type { Layout } from '../metainfo/layout.ts'
import { TorrentError } from '../util/errors.ts'
import { runStepsInTurns, shareTurn } from '../util/turn-share.ts'
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

/** Files that are looked at without a pause. */
const filesOfStep = 1000

/** Parts that work on one torrent, from `open` on. */
interface Opened {
  readonly layout: Layout
  readonly files: FilesOnDisk
  readonly parts: PartsFile
  readonly ownership: FileOwnership
  readonly bytes: FileBytes
}

/**
 * A torrent's bytes in files on disk. Files appear sparse with their first write (empty ones when they become wanted),
 * pad files never (BEP 47), unwanted files never: their bytes are kept in a {@link PartsFile} until they become wanted.
 * An unwanted file that this storage wrote earlier stays where it is. No file is ever shortened: of one that is longer
 * than the torrent says, only the known part is used. The hidden attribute of BEP 47 is not applied.
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

  /** Files that are open now; never more than `maxOpenFiles`, the parts file apart. */
  get openFiles(): number {
    return this.#opened?.files.openCount ?? 0
  }

  /**
   * What `delete` removes, as paths of the torrent: files that this storage made or wrote to, and folders that it made
   * (`a/b/`, the root is `./`). Belongs into the resume record.
   */
  get created(): string[] {
    return this.#opened?.files.created ?? [...(this.#options.created ?? [])]
  }

  /** Symbolic links below `path` that stood there when the torrent was added and are followed. Belong into the resume record. */
  get links(): StorageLink[] | undefined {
    // Paths that the user named one by one are followed wherever they lead.
    if (this.#options.files !== undefined) return undefined
    return this.#links?.accepted ?? [...(this.#options.links ?? [])]
  }

  /** @internal Which files are the torrent's own; undefined before `open`. */
  get ownership(): FileOwnership | undefined {
    return this.#opened?.ownership
  }

  /** @internal Absolute path of a file of the layout, be it there or not; undefined before `open`. */
  pathOf(fileIndex: number): string | undefined {
    return this.#opened?.files.states.all[fileIndex]?.path
  }

  /** @internal Why nothing of a file of the layout can be read, as when a folder is in its place; undefined for one that is missing. */
  obstacle(fileIndex: number): TorrentError | undefined {
    return this.#opened?.files.states.all[fileIndex]?.blocked
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
    const { parts, ownership } = this.#opened ?? {}
    if (parts?.isEmpty !== false) return
    // Not while others wait: a record is made of what storage says.
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

  /** Writes, unless a file of these bytes must not be written yet. */
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
      // One after the other, so that a second call does not return before the first has flushed what both cover.
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
   * Closes, then removes the files that this storage made or wrote to, the parts file, and the folders that it made as
   * far as they are empty. Removes all it can before it rejects.
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

  /** Where bytes can be read by others; throws ERR_STORAGE_PATH when something else is in the place of a file. */
  segments(byteOffset: number, length: number): StorageSegment[] {
    return this.#require().bytes.segments(byteOffset, length)
  }

  inPlace(fileIndex: number): boolean {
    return this.#opened?.bytes.inPlace(fileIndex) === true
  }

  /** Sizes and times of the files as they were left here. */
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
    await shareTurn()
    const root = resolve(path)
    const links = new Links({ fs, recorded: this.#options.links })
    const isGiven = given !== undefined
    const folders = new RealFolders({ fs, root: isGiven ? undefined : root, links, rootMode: folderMode })
    const apart = isGiven ? [] : (this.#options.reserved ?? []).map((folder) => resolve(folder))
    const reserved = apart.length > 0 ? new ReservedFolders(fs, apart, root) : undefined
    if (!isGiven) await runStepsInTurns(checkPathSteps(layout))
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
    // With a record they move once it names their files: with the next `select`.
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

  /** Takes in which files are wanted: claims those that may be written now, and makes empty ones. */
  async #want(wanted: readonly boolean[]): Promise<void> {
    const { readOnly = false, claims } = this.#options
    if (this.#opened === undefined) return
    const { layout, files } = this.#opened
    const states = files.states.all
    const added: number[] = []
    const mine: string[] = []
    for (let fileIndex = 0; fileIndex < states.length; fileIndex++) {
      if (fileIndex % filesOfStep === filesOfStep - 1) await shareTurn()
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
      if (n % filesOfStep === filesOfStep - 1) await shareTurn()
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
