import type { Layout, Range } from '../metainfo/layout.ts'
import { bitsOf, setBit } from '../util/bits.ts'
import { TorrentError } from '../util/errors.ts'
import { yieldToEventLoop } from '../util/slices.ts'
import type { FilesOnDisk } from './files-on-disk.ts'

/** The resume record names the file. */
const owned = 1
/** The next resume record will name the file. */
const named = 2
/** The file may belong to the user: it must not be changed. */
const foreign = 4
/** It is not known yet whether the file belongs to the torrent. */
const undecided = 8
/** Bytes of a file read at a time. */
const sliceLength = 1 << 20

/** Options of {@link FileOwnership}. */
export interface FileOwnershipOptions {
  readonly layout: Layout
  readonly files: FilesOnDisk
  /** Saves a resume record whose `owned` list includes the files that are about to be written. */
  onOwning?(): Promise<void>
}

/**
 * Tracks which files belong to the torrent. Before the first of them is written, all files that may be written are named in the resume
 * record, so that they can be told from files of the user after a crash. A file that may belong to the user is accepted, and then written,
 * once it is found to be blank or to hold the bytes being written.
 */
export class FileOwnership {
  /** Called when a file is accepted: it already holds the bytes being written, or is blank or missing. */
  onAccepted: ((fileIndex: number) => void) | undefined
  readonly #options: FileOwnershipOptions
  readonly #flags: Uint8Array
  #owning: Promise<void> | undefined

  constructor(options: FileOwnershipOptions) {
    this.#options = options
    this.#flags = new Uint8Array(options.layout.files.length)
  }

  /** Returns a bit for each file of the layout that belongs to the torrent; with `planned` also for files that may be made from now on. */
  bits(planned: boolean): Uint8Array {
    const bits = bitsOf(this.#flags.length)
    for (const [index, { created, found }] of this.#options.files.states.all.entries()) {
      const isThere = found !== null && found !== undefined
      const isOurs = created || (isThere && !this.#has(index, foreign))
      if (isOurs || (planned && this.#has(index, owned | named))) setBit(bits, index)
    }
    return bits
  }

  /** Protects existing files from changes, including files that appear later where one was missing. */
  protect(fileIndices: readonly number[]): void {
    for (const index of fileIndices) this.#set(index, foreign | undecided)
    this.#options.files.onTaken = (index, path) => {
      this.#set(index, foreign)
      return existsError(path)
    }
  }

  /** Allows writes to a file: it belongs to the torrent or may be overwritten. */
  accept(fileIndex: number): void {
    this.#clear(fileIndex, foreign | undecided)
  }

  /** Ends the search for the owner of a file; writes that would change it are refused. */
  decided(fileIndex: number): void {
    this.#clear(fileIndex, undecided)
  }

  /** Allows writes to all files. */
  acceptAll(): void {
    this.#options.files.onTaken = undefined
    for (let index = 0; index < this.#flags.length; index++) this.accept(index)
  }

  /** Returns whether a file is protected from changes. */
  isProtected(fileIndex: number): boolean {
    // A file created by this storage belongs to the torrent.
    return this.#has(fileIndex, foreign) && this.#options.files.states.all[fileIndex]?.created !== true
  }

  /** Returns whether the owner of a file is still unknown. */
  isUndecided(fileIndex: number): boolean {
    return this.#has(fileIndex, undecided)
  }

  /** Returns whether bytes of a file are written to the file itself. */
  isWritten(fileIndex: number): boolean {
    const state = this.#options.files.states.all[fileIndex]
    return (
      state !== undefined &&
      (state.wanted || state.created) &&
      this.#options.layout.files[fileIndex]?.pad === false
    )
  }

  /** Returns whether all files that a byte range touches may be written now. */
  mayWrite(range: Range): boolean {
    const { layout } = this.#options
    for (let index = layout.fileAt(range.start); ; index++) {
      const file = layout.files[index]
      if (file === undefined || file.offset >= range.end) return true
      if (this.isWritten(index) && (!this.#has(index, owned) || this.isProtected(index))) return false
    }
  }

  /**
   * Makes a byte range writable; call again until {@link mayWrite} returns true.
   * @throws TorrentError ERR_STORAGE_EXISTS when the bytes would change a protected file.
   */
  async prepare(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    const { layout } = this.#options
    const bytes = chunks.length === 1 ? chunks[0] : undefined
    const all = bytes ?? Buffer.concat(chunks)
    for (const span of layout.spans({ start: byteOffset, end: byteOffset + all.byteLength })) {
      const { fileIndex, fileOffset, length } = span
      if (!this.isWritten(fileIndex) || !this.isProtected(fileIndex)) continue
      const at = (layout.files[fileIndex]?.offset ?? 0) + fileOffset - byteOffset
      await this.admit(fileIndex, fileOffset, all.subarray(at, at + length))
    }
    await this.own()
  }

  /** Saves a resume record that names all files that may be written and are not named yet. */
  own(): Promise<void> {
    this.#owning ??= this.#own().finally(() => {
      this.#owning = undefined
    })
    return this.#owning
  }

  /**
   * Accepts a file that already holds these bytes, or is blank.
   * @throws TorrentError ERR_STORAGE_EXISTS for any other file.
   */
  async admit(fileIndex: number, fileOffset: number, bytes: Uint8Array): Promise<void> {
    const { files } = this.#options
    const there = Buffer.allocUnsafe(bytes.byteLength)
    const count = await files.read(fileIndex, fileOffset, there)
    const isSame = count > 0 && there.subarray(0, count).equals(bytes.subarray(0, count))
    if (!isSame && !(await this.isBlank(fileIndex))) throw this.refusal(fileIndex)
    this.accept(fileIndex)
    this.onAccepted?.(fileIndex)
  }

  /** Reads a file and returns whether it is missing, empty or all zeros; other programs preallocate files with zeros. */
  async isBlank(fileIndex: number): Promise<boolean> {
    const { files } = this.#options
    await files.states.probeFile(fileIndex)
    const state = files.states.all[fileIndex]
    if (state === undefined || state.blocked !== undefined) return false
    if (state.missing) return true
    const slice = Buffer.allocUnsafe(sliceLength)
    for (let at = 0; ; ) {
      const count = await files.read(fileIndex, at, slice)
      if (count === 0) return true
      if (slice.subarray(0, count).some((byte) => byte !== 0)) return false
      at += count
      await yieldToEventLoop()
    }
  }

  /** Returns the error for a protected file. */
  refusal(fileIndex: number): TorrentError {
    return existsError(this.#options.files.states.all[fileIndex]?.path ?? '')
  }

  async #own(): Promise<void> {
    const { files, layout, onOwning } = this.#options
    const added: number[] = []
    for (let index = 0; index < this.#flags.length; index++) {
      if (layout.files[index]?.pad !== false || !this.isWritten(index)) continue
      if (this.#has(index, owned) || this.isProtected(index)) continue
      this.#set(index, named)
      added.push(index)
    }
    if (added.length === 0) return
    if (onOwning !== undefined) {
      // Otherwise saving the record would create the data folder, if the record is inside it.
      await files.makeRoot()
      await onOwning()
    }
    for (const index of added) this.#set(index, owned)
  }

  #has(index: number, flag: number): boolean {
    return ((this.#flags[index] ?? 0) & flag) !== 0
  }

  #clear(index: number, flag: number): void {
    this.#flags[index] = (this.#flags[index] ?? 0) & ~flag
  }

  #set(index: number, flag: number): void {
    this.#flags[index] = (this.#flags[index] ?? 0) | flag
  }
}

function existsError(path: string): TorrentError {
  const message =
    `${path} is there already and is not known to belong to the torrent: move it away, choose another folder, ` +
    'or have it overwritten (overwrite: true, --overwrite)'
  return new TorrentError('ERR_STORAGE_EXISTS', message, { details: { path } })
}
