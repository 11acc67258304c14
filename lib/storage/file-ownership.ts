import type { Layout, Range } from '../metainfo/layout.ts'
import { bitsOf, setBit } from '../util/bits.ts'
import { TorrentError } from '../util/errors.ts'
import { shareTurn } from '../util/turn-share.ts'
import type { FilesOnDisk } from './files-on-disk.ts'

/** The resume record names the file. */
const owned = 1
/** The next record will name it. */
const named = 2
/** Something is there that may not be the torrent's: it must not be changed. */
const foreign = 4
/** It is not known yet whether that is the torrent's. */
const undecided = 8
/** Bytes of a file that are looked at in one go. */
const sliceLength = 1 << 20

/** Options of {@link FileOwnership}. */
export interface FileOwnershipOptions {
  readonly layout: Layout
  readonly files: FilesOnDisk
  /** Saves a record that names the files in `owned`. */
  onOwning?(): Promise<void>
}

/**
 * Which files of a torrent are its own. Before the first of them is written, all that may be written are named in the resume record, so
 * that after a crash they can be told from files of the user. Of those nothing is changed that does not hold the same bytes already.
 */
export class FileOwnership {
  /** Hears of a file that holds bytes of the torrent, as these came, or that is gone. */
  onAccepted: ((fileIndex: number) => void) | undefined
  readonly #options: FileOwnershipOptions
  readonly #flags: Uint8Array
  #owning: Promise<void> | undefined

  constructor(options: FileOwnershipOptions) {
    this.#options = options
    this.#flags = new Uint8Array(options.layout.files.length)
  }

  /** A bit for each file of the layout that is the torrent's; with `planned` also for those that may be made from now on. */
  bits(planned: boolean): Uint8Array {
    const bits = bitsOf(this.#flags.length)
    for (const [index, { created, found }] of this.#options.files.states.all.entries()) {
      const isThere = found !== null && found !== undefined
      const isOurs = created || (isThere && !this.#has(index, foreign))
      if (isOurs || (planned && this.#has(index, owned | named))) setBit(bits, index)
    }
    return bits
  }

  /** Keeps files from being changed that are there already; a file that appears in the place of a missing one is kept as well. */
  protect(fileIndices: readonly number[]): void {
    for (const index of fileIndices) this.#set(index, foreign | undecided)
    this.#options.files.onTaken = (index, path) => {
      this.#set(index, foreign)
      return existsError(path)
    }
  }

  /** Lets a file be written: it belongs to the torrent after all, or may be overwritten. */
  accept(fileIndex: number): void {
    this.#clear(fileIndex, foreign | undecided)
  }

  /** Nothing more can be found out about a file before bytes of it come: what would change it is refused. */
  decided(fileIndex: number): void {
    this.#clear(fileIndex, undecided)
  }

  /** Lets all files be written. */
  acceptAll(): void {
    this.#options.files.onTaken = undefined
    for (let index = 0; index < this.#flags.length; index++) this.accept(index)
  }

  /** Whether a file is kept from being changed. */
  isProtected(fileIndex: number): boolean {
    // A file created by this storage belongs to the torrent.
    return this.#has(fileIndex, foreign) && this.#options.files.states.all[fileIndex]?.created !== true
  }

  /** Whether it is still to be found out whose a file is. */
  isUndecided(fileIndex: number): boolean {
    return this.#has(fileIndex, undecided)
  }

  /** Whether bytes of a file go to the file itself. */
  isWritten(fileIndex: number): boolean {
    const state = this.#options.files.states.all[fileIndex]
    return (
      state !== undefined &&
      (state.wanted || state.created) &&
      this.#options.layout.files[fileIndex]?.pad === false
    )
  }

  /** Whether the files that the bytes `[start, end)` belong to may be written now. */
  mayWrite(range: Range): boolean {
    const { layout } = this.#options
    for (let index = layout.fileAt(range.start); ; index++) {
      const file = layout.files[index]
      if (file === undefined || file.offset >= range.end) return true
      if (this.isWritten(index) && (!this.#has(index, owned) || this.isProtected(index))) return false
    }
  }

  /**
   * Does what {@link mayWrite} asks for; to be repeated until it says yes.
   * @throws TorrentError ERR_STORAGE_EXISTS when the bytes would change a file that is kept.
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

  /** Names all files in the record that may be written and that it does not name yet. */
  own(): Promise<void> {
    this.#owning ??= this.#own().finally(() => {
      this.#owning = undefined
    })
    return this.#owning
  }

  /**
   * Accepts a file that holds these bytes already, or nothing at all.
   * @throws TorrentError ERR_STORAGE_EXISTS for another one.
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

  /** Looks again whether a file is missing, empty or all zeros, as other programs leave what they have made room for. */
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
      await shareTurn()
    }
  }

  /** The error that says that a file is kept. */
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
      // Or else the record would make the folder of the data, if it lies inside.
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
