import { dirname, resolve } from 'node:path'
import type { Layout } from '../metainfo/layout.ts'
import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import { runStepsInTurns, shareTurn } from '../util/turn-share.ts'
import { ChunkCursor } from './chunk-cursor.ts'
import { FileOwnership } from './file-ownership.ts'
import { checkPathSteps, FilePaths } from './file-paths.ts'
import { FilesOnDisk } from './files-on-disk.ts'
import { Links } from './links.ts'
import { OperationGate } from './operation-gate.ts'
import { PartsFile } from './parts-file.ts'
import { isBelow, RealFolders } from './real-folders.ts'
import { ReservedFolders } from './reserved-folders.ts'
import type { Storage, StorageLink, StorageSegment, StorageStats } from './storage.ts'
import type { StorageClaims } from './storage-claims.ts'
import { storageClosed } from './storage-error.ts'
import { nodeFs, type StorageFs, writeAll } from './storage-fs.ts'

/** How a {@link FileStorage} is set up. */
export interface FileStorageOptions {
  /** Folder under which the torrent's paths lie; made with the first file. */
  readonly path: string
  /** Absolute path of each file of the layout, for files that lie in different folders; `path` is then not used. */
  readonly files?: readonly string[]
  /** The file that keeps bytes of unwanted files; it appears only when there are such bytes. */
  readonly partsPath: string
  /** Most files that are open at a time. Default 32. */
  readonly maxOpenFiles?: number
  /** Nothing is created, written or claimed; writes reject with ERR_STORAGE_ACCESS. */
  readonly readOnly?: boolean
  /** Mode of the root folder when it is made, before the umask. Default 0o777. */
  readonly folderMode?: number
  /** What an earlier storage of this torrent reported as {@link FileStorage.created}. */
  readonly created?: readonly string[]
  /** Links that an earlier storage of this torrent reported as {@link FileStorage.links}; without it, all links found are new. */
  readonly links?: readonly StorageLink[]
  /** Folders of other files than the torrent's, such as resume records: no file of the torrent may be there or be read there. */
  readonly reserved?: readonly string[]
  /** @internal Saves a record that names the files in `owned`, before the first of them is written. */
  readonly onOwning?: () => Promise<void>
  /** Shared with the other storages of the process, so that no two write to one file. */
  readonly claims?: StorageClaims
  /** Instead of the real file system. */
  readonly fs?: StorageFs
}

const moveLength = 1 << 20
/** Files that are looked at without a pause. */
const filesOfTurn = 1000

/**
 * A torrent's bytes in files on disk. Files appear sparse with their first write (empty ones when they become wanted),
 * pad files never (BEP 47), unwanted files never: their bytes are kept in a {@link PartsFile} until they become wanted.
 * An unwanted file that this storage wrote earlier stays where it is. No file is ever shortened: of one that is longer
 * than the torrent says, only the known part is used. The hidden attribute of BEP 47 is not applied.
 */
export class FileStorage implements Storage {
  readonly #options: FileStorageOptions
  readonly #fs: StorageFs
  readonly #maxOpen: number
  readonly #gate = new OperationGate()
  #opening: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #layout: Layout | undefined
  #paths: FilePaths | undefined
  #links: Links | undefined
  #files: FilesOnDisk | undefined
  #ownership: FileOwnership | undefined
  #parts: PartsFile | undefined
  #syncing: Promise<unknown> = Promise.resolve()

  constructor(options: FileStorageOptions) {
    const given: unknown = options
    if (typeof given !== 'object' || given === null || Array.isArray(given))
      throw optionError('options', given, 'must be an object with path and partsPath')
    const { maxOpenFiles = 32, fs = nodeFs } = options
    for (const option of ['path', 'partsPath'] as const) {
      const text: unknown = options[option]
      if (typeof text !== 'string' || text === '') throw optionError(option, text, 'must be a path')
    }
    if (!Number.isInteger(maxOpenFiles) || maxOpenFiles < 1) {
      throw new RangeError(`maxOpenFiles must be a positive integer, not ${show(maxOpenFiles)}`)
    }
    this.#options = options
    this.#fs = fs
    this.#maxOpen = maxOpenFiles
  }

  /** Files that are open now; never more than `maxOpenFiles`, the parts file apart. */
  get openFiles(): number {
    return this.#files?.openCount ?? 0
  }

  /**
   * What `delete` removes, as paths of the torrent: files that this storage made or wrote to, and folders that it made
   * (`a/b/`, the root is `./`). Belongs into the resume record.
   */
  get created(): string[] {
    return this.#files?.created ?? [...(this.#options.created ?? [])]
  }

  /** Symbolic links below `path` that stood there when the torrent was added and are followed. Belong into the resume record. */
  get links(): StorageLink[] | undefined {
    // Paths that the user named one by one are followed wherever they lead.
    if (this.#options.files !== undefined) return undefined
    return this.#links?.accepted ?? [...(this.#options.links ?? [])]
  }

  /** @internal Which files are the torrent's own; undefined before `open`. */
  get ownership(): FileOwnership | undefined {
    return this.#ownership
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
    if (this.#parts?.isEmpty !== false) return
    // Not while others wait: a record is made of what storage says.
    await this.#ownership?.own()
    await this.#gate.alone(() => this.#moveKept())
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
    while (!(await this.#writeOwned(byteOffset, length, chunks))) {
      await this.#ownership?.prepare(byteOffset, chunks)
    }
  }

  /** Writes, unless a file of these bytes must not be written yet. */
  #writeOwned(byteOffset: number, length: number, chunks: readonly Uint8Array[]): Promise<boolean> {
    return this.#gate.run(async () => {
      const layout = this.#require()
      const end = byteOffset + length
      if (end > layout.length) {
        throw new RangeError(`bytes ${byteOffset} to ${end} leave the torrent of ${layout.length} bytes`)
      }
      this.#refuseReadOnly()
      if (this.#ownership?.mayWrite({ start: byteOffset, end }) === false) return false
      const source = new ChunkCursor(chunks)
      for (const span of layout.spans({ start: byteOffset, end })) {
        await this.#writeSpan(span.fileIndex, span.fileOffset, source.take(span.length))
      }
      return true
    })
  }

  async sync(): Promise<void> {
    return this.#gate.run(async () => {
      // One after the other, so that a second call does not return before the first has flushed what both cover.
      const done = this.#syncing.then(async () => {
        await this.#files?.flush()
        await this.#parts?.sync()
      })
      this.#syncing = done.catch(() => {})
      await done
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#gate.close(async () => {
      await this.#opening?.catch(() => {})
      await this.#files?.close()
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
    let outcomes: PromiseSettledResult<void>[] = []
    this.#closing ??= this.#gate.close(async () => {
      await this.#files?.close()
      if (this.#options.readOnly !== true) {
        outcomes = await Promise.allSettled([this.#parts?.delete(), this.#files?.remove()])
      }
      await this.#parts?.close()
      this.#options.claims?.release(this)
    })
    await this.#closing
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** Where bytes can be read by others; throws ERR_STORAGE_PATH when something else is in the place of a file. */
  segments(byteOffset: number, length: number): StorageSegment[] {
    const layout = this.#require()
    const segments: StorageSegment[] = []
    const end = byteOffset + length
    // Without a generator: a check asks for each of very many pieces.
    for (let index = layout.fileAt(byteOffset), at = byteOffset; at < end; index++) {
      const file = layout.files[index]
      if (file === undefined) break
      const upTo = Math.min(end, file.offset + file.length)
      if (upTo > at) this.#addSegments(segments, index, at, upTo)
      at = Math.max(at, upTo)
    }
    return segments
  }

  inPlace(fileIndex: number): boolean {
    const file = this.#layout?.files[fileIndex]
    const state = this.#files?.states[fileIndex]
    if (file === undefined || state === undefined || this.#parts === undefined) return false
    if (file.length === 0) return (state.created || !state.missing) && state.blocked === undefined
    return this.#parts.firstFrom(file.offset) >= file.offset + file.length
  }

  /** Adds where the bytes `[start, end)` of the torrent are, which all belong to one file. */
  #addSegments(segments: StorageSegment[], fileIndex: number, start: number, end: number): void {
    const file = this.#layout?.files[fileIndex]
    const state = this.#files?.states[fileIndex]
    const parts = this.#parts
    if (file === undefined || state === undefined || parts === undefined) return
    // Whoever asks is about to read what is there now.
    this.#files?.forget(fileIndex)
    if (file.pad) {
      segments.push({ path: undefined, fileOffset: start - file.offset, length: end - start })
      return
    }
    const above = this.#paths?.folderAbove(fileIndex)
    for (let at = start; at < end; ) {
      const kept = parts.find(at)
      const upTo = Math.min(end, kept?.end ?? parts.nextStart(at))
      if (kept === undefined && state.blocked !== undefined) throw state.blocked
      if (kept === undefined && above === undefined) throw missingFolder(state.path)
      const length = upTo - at
      if (kept !== undefined) segments.push({ ...parts.place, fileOffset: kept.position, length })
      else segments.push({ path: state.path, fileOffset: at - file.offset, length, folder: above })
      at = upTo
    }
  }

  /** Sizes and times of the files as they were left here. */
  async stats(): Promise<StorageStats> {
    return this.#gate.run(async () => {
      const files = (await this.#files?.stats()) ?? []
      const parts = this.#parts
      const stat = parts?.isEmpty === false ? await parts.stat() : undefined
      return {
        files,
        parts: parts !== undefined && stat !== undefined ? { stat, ranges: parts.ranges } : undefined
      }
    })
  }

  async #open(layout: Layout, wanted: readonly boolean[]): Promise<void> {
    const { path, files, partsPath, folderMode, readOnly = false, claims, created = [] } = this.#options
    const fs = this.#fs
    await shareTurn()
    const root = resolve(path)
    const links = new Links({ fs, recorded: this.#options.links })
    const given = files !== undefined
    const folders = new RealFolders({ fs, root: given ? undefined : root, links, rootMode: folderMode })
    const apart = given ? [] : (this.#options.reserved ?? []).map((folder) => resolve(folder))
    const reserved = apart.length > 0 ? new ReservedFolders(fs, apart, root) : undefined
    if (!given) await runStepsInTurns(checkPathSteps(layout))
    const paths = new FilePaths({ fs, layout, root, folders, reserved, given: files })
    const beside = dirname(resolve(partsPath))
    const partsFolders = !given && isBelow(beside, root) ? folders : new RealFolders({ fs, root: beside })
    const parts = new PartsFile({
      fs,
      folders: partsFolders,
      path: partsPath,
      layoutLength: layout.length,
      readOnly
    })
    this.#layout = layout
    this.#parts = parts
    this.#paths = paths
    const onDisk = new FilesOnDisk({ fs, layout, paths, maxOpen: this.#maxOpen, created })
    await onDisk.begin()
    this.#files = onDisk
    const onOwning = this.#options.onOwning
    this.#ownership = new FileOwnership({
      layout,
      files: this.#files,
      ...(onOwning === undefined ? {} : { onOwning })
    })
    if (!readOnly) claims?.claim(this, [partsPath])
    await parts.open()
    await this.#files.probe()
    this.#links = links
    links.seal()
    partsFolders.links.seal()
    await this.#want(wanted)
    // With a record they move once it names their files: with the next `select`.
    if (onOwning === undefined) await this.#moveKept()
  }

  #require(): Layout {
    if (!this.#gate.isOpen || this.#layout === undefined) throw storageClosed()
    return this.#layout
  }

  #refuseReadOnly(): void {
    if (this.#options.readOnly !== true) return
    const message = `${this.#options.path} was opened for reading only`
    throw new TorrentError('ERR_STORAGE_ACCESS', message, { details: { path: this.#options.path } })
  }

  async #want(wanted: readonly boolean[]): Promise<void> {
    const { readOnly = false, claims } = this.#options
    const files = this.#files
    if (files === undefined) return
    const added: number[] = []
    const mine: string[] = []
    for (let fileIndex = 0; fileIndex < files.states.length; fileIndex++) {
      if (fileIndex % filesOfTurn === filesOfTurn - 1) await shareTurn()
      const state = files.states[fileIndex]
      if (state === undefined || this.#layout?.files[fileIndex]?.pad !== false) continue
      if (wanted[fileIndex] !== true) state.wanted = false
      else if (!state.wanted) added.push(fileIndex)
      if (state.created) mine.push(state.path)
    }
    for (const fileIndex of added) {
      const state = files.states[fileIndex]
      if (state?.blocked !== undefined) await files.probeFile(fileIndex)
      if (state?.blocked !== undefined) throw state.blocked
      if (state?.created === false) mine.push(state.path)
    }
    if (!readOnly) claims?.claim(this, mine)
    for (let n = 0; n < added.length; n++) {
      const fileIndex = added[n] ?? 0
      if (n % filesOfTurn === filesOfTurn - 1) await shareTurn()
      const state = files.states[fileIndex]
      if (state === undefined) continue
      const isEmpty = this.#layout?.files[fileIndex]?.length === 0
      if (!readOnly && isEmpty && (await files.stat(fileIndex)) === undefined) {
        await files.update(fileIndex, async () => {})
      }
      state.wanted = true
    }
  }

  /** Moves what is kept of wanted files to its place. */
  async #moveKept(): Promise<void> {
    const files = this.#files
    if (files === undefined || this.#options.readOnly === true) return
    for (let fileIndex = 0; fileIndex < files.states.length; fileIndex++) {
      if (this.#parts?.isEmpty !== false) return
      if (fileIndex % filesOfTurn === filesOfTurn - 1) await shareTurn()
      const state = files.states[fileIndex]
      if (state?.wanted === true && this.#ownership?.isUndecided(fileIndex) !== true)
        await this.#moveFile(fileIndex, files)
    }
  }

  async #moveFile(fileIndex: number, files: FilesOnDisk): Promise<void> {
    const file = this.#layout?.files[fileIndex]
    const parts = this.#parts
    if (file === undefined || parts === undefined) return
    const end = file.offset + file.length
    let moved = false
    for (let at = parts.firstFrom(file.offset); at < end; at = parts.firstFrom(at)) {
      const kept = parts.find(at)
      if (kept === undefined) break
      const bytes = new Uint8Array(Math.min(kept.end - at, moveLength))
      const count = await parts.read(kept.position, bytes)
      if (count === 0) break
      const fileOffset = at - file.offset
      if (this.#ownership?.isProtected(fileIndex)) {
        await this.#ownership.admit(fileIndex, fileOffset, bytes.subarray(0, count))
      }
      await files.update(fileIndex, (handle) => writeAll(handle, [bytes.subarray(0, count)], fileOffset))
      at += count
      moved = true
    }
    if (!moved) return
    // The copy must be safe before the original goes.
    await files.flush()
    await parts.remove({ start: file.offset, end })
  }

  async #readSpan(fileIndex: number, fileOffset: number, target: Uint8Array): Promise<number> {
    const file = this.#layout?.files[fileIndex]
    const parts = this.#parts
    const files = this.#files
    if (file === undefined || parts === undefined || files === undefined) return 0
    if (file.pad) {
      target.fill(0)
      return target.byteLength
    }
    if (parts.isEmpty) return files.read(fileIndex, fileOffset, target)
    let at = 0
    while (at < target.byteLength) {
      const start = file.offset + fileOffset + at
      const kept = parts.find(start)
      const length = Math.min(target.byteLength - at, (kept?.end ?? parts.nextStart(start)) - start)
      const part = target.subarray(at, at + length)
      const count =
        kept === undefined
          ? await files.read(fileIndex, fileOffset + at, part)
          : await parts.read(kept.position, part)
      at += count
      if (count < length) break
    }
    return at
  }

  async #writeSpan(fileIndex: number, fileOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    const file = this.#layout?.files[fileIndex]
    const state = this.#files?.states[fileIndex]
    const parts = this.#parts
    if (file === undefined || state === undefined || parts === undefined || file.pad) return
    const start = file.offset + fileOffset
    const end = start + chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
    // Kept bytes hide those of the file, which matters when a move to it has failed half-way.
    const hidden = parts.firstFrom(start) < end
    if ((state.wanted || state.created) && !hidden) {
      await this.#files?.update(fileIndex, (handle) => writeAll(handle, chunks, fileOffset))
      return
    }
    let byteOffset = start
    for (const chunk of chunks) {
      await parts.write(byteOffset, chunk)
      byteOffset += chunk.byteLength
    }
  }
}

function missingFolder(path: string): TorrentError {
  const message = `The folder of ${path} is missing`
  return new TorrentError('ERR_STORAGE_READ', message, { details: { path } })
}

function checkOffset(byteOffset: number): void {
  if (!Number.isSafeInteger(byteOffset) || byteOffset < 0) {
    throw new RangeError(`byteOffset must be a non-negative integer, not ${byteOffset}`)
  }
}

function optionError(option: string, value: unknown, reason: string): TorrentError {
  return new TorrentError('ERR_STORAGE_OPTION', `option ${option}: ${show(value)} ${reason}`, {
    details: { option }
  })
}
