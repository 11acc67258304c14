import type { Layout, Range } from '../metainfo/layout.ts'
import { TorrentError } from '../util/errors.ts'
import { yieldToEventLoop } from '../util/slices.ts'
import { byteLengthOf } from './byte-range.ts'
import { ChunkCursor } from './chunk-cursor.ts'
import type { FileOwnership } from './file-ownership.ts'
import type { FilePaths } from './file-paths.ts'
import type { FilesOnDisk } from './files-on-disk.ts'
import type { PartsFile } from './parts-file.ts'
import type { StorageSegment } from './storage.ts'
import { writeAll } from './storage-fs.ts'

/** Parts of {@link FileBytes}. */
export interface FileBytesOptions {
  readonly layout: Layout
  readonly paths: FilePaths
  readonly files: FilesOnDisk
  readonly parts: PartsFile
  readonly ownership: FileOwnership
}

/** Bytes moved from the parts file at a time. */
const moveLength = 1 << 20
/** Files looked at before yielding to the event loop. */
const filesOfStep = 1000

/**
 * The bytes of an open torrent by offset. Bytes of wanted files, and of files made by this storage, are in the files; bytes of other files
 * are in the {@link PartsFile} until they move. Where both have a byte, the parts file counts. Pad files (BEP 47) are zeros.
 */
export class FileBytes {
  readonly #layout: Layout
  readonly #paths: FilePaths
  readonly #files: FilesOnDisk
  readonly #parts: PartsFile
  readonly #ownership: FileOwnership

  constructor({ layout, paths, files, parts, ownership }: FileBytesOptions) {
    this.#layout = layout
    this.#paths = paths
    this.#files = files
    this.#parts = parts
    this.#ownership = ownership
  }

  /** Reads into `target` from `byteOffset`; returns how many contiguous bytes from its start are present. */
  async read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number> {
    let at = 0
    for (const span of this.#layout.spans({ start: byteOffset, end: byteOffset + target.byteLength })) {
      signal?.throwIfAborted()
      const part = span.length === target.byteLength ? target : target.subarray(at, at + span.length)
      const count = await this.#readSpan(span.fileIndex, span.fileOffset, part)
      at += count
      if (count < span.length) break
    }
    return at
  }

  /** Writes `chunks` to a byte range of the torrent. */
  async write(range: Range, chunks: readonly Uint8Array[]): Promise<void> {
    const source = new ChunkCursor(chunks)
    for (const span of this.#layout.spans(range)) {
      await this.#writeSpan(span.fileIndex, span.fileOffset, source.take(span.length))
    }
  }

  /** Flushes all writes to disk, so that they survive a power cut. */
  async sync(): Promise<void> {
    await this.#files.flush()
    await this.#parts.sync()
  }

  /**
   * Returns where bytes can be read on other threads.
   * @throws TorrentError ERR_STORAGE_PATH when something else is at the path of a file, ERR_STORAGE_READ when its folder is missing.
   */
  segments(byteOffset: number, length: number): StorageSegment[] {
    const segments: StorageSegment[] = []
    const end = byteOffset + length
    // Not a generator: a check calls this for every piece, and there may be very many.
    for (let index = this.#layout.fileAt(byteOffset), at = byteOffset; at < end; index++) {
      const file = this.#layout.files[index]
      if (file === undefined) break
      const upTo = Math.min(end, file.offset + file.length)
      if (upTo > at) this.#addSegments(segments, index, at, upTo)
      at = Math.max(at, upTo)
    }
    return segments
  }

  /** Returns whether all stored bytes of a file are in the file itself; for an empty file, whether it exists. */
  inPlace(fileIndex: number): boolean {
    const file = this.#layout.files[fileIndex]
    const state = this.#files.states.all[fileIndex]
    if (file === undefined || state === undefined) return false
    if (file.length === 0) return (state.created || !state.missing) && state.blocked === undefined
    return this.#parts.firstFrom(file.offset) >= file.offset + file.length
  }

  /** Moves bytes of wanted files from the parts file to the files; bytes of files whose owner is undecided stay. */
  async moveKept(): Promise<void> {
    const states = this.#files.states.all
    for (let fileIndex = 0; fileIndex < states.length; fileIndex++) {
      if (this.#parts.isEmpty) return
      if (fileIndex % filesOfStep === filesOfStep - 1) await yieldToEventLoop()
      const isWanted = states[fileIndex]?.wanted === true
      if (isWanted && !this.#ownership.isUndecided(fileIndex)) await this.#moveFile(fileIndex)
    }
  }

  async #moveFile(fileIndex: number): Promise<void> {
    const file = this.#layout.files[fileIndex]
    if (file === undefined) return
    const parts = this.#parts
    const end = file.offset + file.length
    let moved = false
    for (let at = parts.firstFrom(file.offset); at < end; at = parts.firstFrom(at)) {
      const kept = parts.find(at)
      if (kept === undefined) break
      const bytes = new Uint8Array(Math.min(kept.end - at, moveLength))
      const count = await parts.read(kept.position, bytes)
      if (count === 0) break
      const fileOffset = at - file.offset
      const part = bytes.subarray(0, count)
      if (this.#ownership.isProtected(fileIndex)) await this.#ownership.admit(fileIndex, fileOffset, part)
      await this.#files.update(fileIndex, (handle) => writeAll(handle, [part], fileOffset))
      at += count
      moved = true
    }
    if (!moved) return
    // The copy must be on disk before the original is removed.
    await this.#files.flush()
    await parts.remove({ start: file.offset, end })
  }

  /** Adds the segments of the bytes `[start, end)` of the torrent, which all belong to one file. */
  #addSegments(segments: StorageSegment[], fileIndex: number, start: number, end: number): void {
    const file = this.#layout.files[fileIndex]
    const state = this.#files.states.all[fileIndex]
    if (file === undefined || state === undefined) return
    // The caller reads the current content, so an earlier lookup no longer describes what was read.
    this.#files.states.forget(fileIndex)
    if (file.pad) {
      segments.push({ path: undefined, fileOffset: start - file.offset, length: end - start })
      return
    }
    const parts = this.#parts
    const above = this.#paths.folderAbove(fileIndex)
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

  async #readSpan(fileIndex: number, fileOffset: number, target: Uint8Array): Promise<number> {
    const file = this.#layout.files[fileIndex]
    if (file === undefined) return 0
    if (file.pad) {
      target.fill(0)
      return target.byteLength
    }
    const parts = this.#parts
    const files = this.#files
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
    const file = this.#layout.files[fileIndex]
    const state = this.#files.states.all[fileIndex]
    if (file === undefined || state === undefined || file.pad) return
    const parts = this.#parts
    const start = file.offset + fileOffset
    const end = start + byteLengthOf(chunks)
    // Bytes in the parts file hide those of the file, which matters when a move has failed half-way.
    const hidden = parts.firstFrom(start) < end
    if ((state.wanted || state.created) && !hidden) {
      await this.#files.update(fileIndex, (handle) => writeAll(handle, chunks, fileOffset))
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
