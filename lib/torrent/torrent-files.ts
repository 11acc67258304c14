import type { Layout, Range } from '../metainfo/layout.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { normalPriority, Selection } from '../pieces/selection.ts'
import type { ResumeRecord } from '../storage/resume-record.ts'
import type { EarlyBytes, VerifiedReader } from '../storage/verified-reader.ts'
import type { FileStream } from '../stream/file-stream.ts'
import { TorrentError } from '../util/errors.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { show } from '../util/show.ts'
import { type FileHost, TorrentFile } from './torrent-file.ts'
import type { AddOptions, SelectItem, SelectTarget } from './torrent-options.ts'

/** Initial selection of a torrent; without both members everything is selected. */
export interface Choice {
  readonly select?: AddOptions['select']
  /** Selection used without `select`: half-open ranges of the torrent's own file list, in ascending order. */
  readonly selectOnly?: readonly Range[] | undefined
}

/** Services and callbacks of {@link TorrentFiles}. */
export interface FilesMediator {
  readonly table: PieceTable
  readonly reader: VerifiedReader
  /** Returns whether every byte of a file of the layout is verified and stored in the file itself. */
  isDone(fileIndex: number): boolean
  /** Returns the absolute path of a file of the layout, or undefined with a custom storage. */
  diskPath(fileIndex: number): string | undefined
  /** Opens, moves or (undefined) closes the readahead window of a stream. */
  setWindow(streamId: number, window: ByteWindow | undefined, jumped: boolean): void
  /** Called when the selection of these files of the layout has changed, with the pieces that may be affected. */
  selected(pieces: Range, files: Range): void
  /** Called when a file that is not selected is read, so that its bytes are stored in the file itself. */
  wanted(): void
  /** Called when a stream was opened or closed. */
  streamsChanged(): void
}

/** The file and the window of an open stream. */
export interface OpenStream {
  /** Index in the layout of the file that it reads. */
  readonly fileIndex: number
  /** Id of the stream and of its readahead window; see `nextStreamId`. */
  readonly streamId: number
}

/** The files of a torrent, their selection, and the streams that read them. */
export class TorrentFiles implements FileHost {
  readonly layout: Layout
  readonly selection: Selection
  readonly #streams = new LazyMap<FileStream, OpenStream>()
  /** Files by index in the layout, created on first use: a client with many torrents reads few of them. */
  readonly #at = new LazyMap<number, TorrentFile>()
  /** Replaces `#at` once `list` was read; undefined for pad files. An array takes less memory than a map of all files. */
  #all: readonly (TorrentFile | undefined)[] = []
  #list: readonly TorrentFile[] | undefined
  /** Layout index of each file of `list`. */
  #indices: readonly number[] | undefined
  /** Layout index by path, created on first use. */
  #byPath: Map<string, number> | undefined
  readonly #mediator: FilesMediator
  /** Layout indices of all files that a stream was opened on, selected or not. */
  readonly #read = new LazySet<number>()
  #lastStreamId = 0
  #closed: Error | undefined

  /** Applies the selection of the options, or else of the last run, or else selects everything. */
  constructor(
    layout: Layout,
    { select, selectOnly }: Choice,
    before: ResumeRecord['selection'],
    mediator: FilesMediator
  ) {
    this.layout = layout
    this.#mediator = mediator
    const all = select === 'all' || (select === undefined && selectOnly === undefined)
    this.selection = new Selection(layout, all ? normalPriority : 0)
    if (Array.isArray(select)) {
      for (const index of select) this.selection.setFile(this.#indexOf(index), normalPriority)
    }
    if (select === undefined && selectOnly !== undefined) this.#selectListed(selectOnly)
    if (select !== undefined || selectOnly !== undefined || before === undefined) return
    for (const [index, priority] of before.priorities.entries()) {
      this.selection.setFile(index, Math.min(7, priority))
    }
    for (const range of before.ranges) {
      const { start, end, priority = normalPriority } = range
      if (end <= layout.length && priority > 0) this.selection.setRange({ start, end }, Math.min(7, priority))
    }
  }

  /** The open streams. */
  get streams(): Iterable<FileStream> {
    return this.#streams.keys()
  }

  /** The open streams, each with its file and window. */
  get openStreams(): Iterable<[FileStream, OpenStream]> {
    return this.#streams
  }

  /** Whether a stream is open. */
  get hasStreams(): boolean {
    return this.#streams.size > 0
  }

  /** Whether a stream is open on a file that is not completely verified. */
  get isReading(): boolean {
    for (const { fileIndex } of this.#streams.values()) {
      if (this.verifiedBytes(fileIndex) !== this.layout.files[fileIndex]?.length) return true
    }
    return false
  }

  /** Returns the file at an index of the layout, or undefined for a pad file. */
  at(fileIndex: number): TorrentFile | undefined {
    const entry = this.layout.files[fileIndex]
    if (entry === undefined || entry.pad) return undefined
    let file = this.#all[fileIndex] ?? this.#at.get(fileIndex)
    if (file === undefined) this.#at.set(fileIndex, (file = new TorrentFile(entry, fileIndex, this)))
    return file
  }

  /** All files, without pad files. */
  get list(): readonly TorrentFile[] {
    if (this.#list !== undefined) return this.#list
    const all: (TorrentFile | undefined)[] = []
    const list: TorrentFile[] = []
    for (const [index, entry] of this.layout.files.entries()) {
      const file = entry.pad ? undefined : (this.#at.get(index) ?? new TorrentFile(entry, index, this))
      all.push(file)
      if (file !== undefined) list.push(file)
    }
    this.#at.clear()
    this.#all = all
    this.#list = list
    return list
  }

  /** The selected files of length 0. */
  get empty(): readonly TorrentFile[] {
    return this.layout.files.flatMap(({ length }, index) =>
      length === 0 && this.selection.file(index) > 0 ? (this.at(index) ?? []) : []
    )
  }

  /**
   * Selects (priority 1 to 7) or deselects (0) files and byte ranges.
   * @throws TorrentError ERR_TORRENT_SELECT for an unknown file or range.
   */
  select(what: SelectTarget, priority: number): void {
    const items: readonly SelectItem[] = Array.isArray(what) ? what : [what]
    const files: number[] = []
    const ranges: Range[] = []
    for (const item of items) {
      if (typeof item === 'number' || isFile(item)) files.push(this.#indexOf(item))
      else ranges.push(this.#checkRange(item))
    }
    for (const index of files) this.selection.setFile(index, priority)
    for (const range of ranges) this.selection.setRange(range, priority)
    const { pieceCount } = this.layout
    this.#mediator.selected({ start: 0, end: pieceCount }, { start: 0, end: this.layout.files.length })
  }

  /**
   * Returns for each file of the layout whether it is selected, even in part, or read. Its bytes then belong in the file itself, not in
   * the parts file.
   */
  wanted(): boolean[] {
    const wanted = this.layout.files.map(
      (_, index) => this.selection.file(index) > 0 || this.#read.has(index)
    )
    for (const range of this.selection.ranges) {
      for (const { fileIndex } of this.layout.spans(range)) wanted[fileIndex] = true
    }
    return wanted
  }

  /** Returns whether a file of the layout is selected, even in part. */
  isSelected(fileIndex: number): boolean {
    if (this.selection.file(fileIndex) > 0) return true
    const { offset = 0, length = 0 } = this.layout.files[fileIndex] ?? {}
    return this.selection.ranges.some(({ start, end }) => start < offset + length && end > offset)
  }

  /** Destroys all open streams, and all that are opened later, with `error`. */
  close(error: Error): void {
    this.#closed = error
    for (const stream of [...this.streams]) stream.destroy(error)
  }

  // ---- FileHost ----

  verifiedBytes(fileIndex: number): number {
    return this.#mediator.table.counts.fileBytes(fileIndex)
  }

  isDone(fileIndex: number): boolean {
    return this.#mediator.isDone(fileIndex)
  }

  diskPath(fileIndex: number): string | undefined {
    return this.#mediator.diskPath(fileIndex)
  }

  priorityOf(fileIndex: number): number {
    return this.selection.file(fileIndex)
  }

  setPriority(fileIndex: number, priority: number): void {
    this.selection.setFile(fileIndex, priority)
    this.#mediator.selected(this.layout.filePieces(fileIndex), { start: fileIndex, end: fileIndex + 1 })
  }

  opened(stream: FileStream, fileIndex: number): void {
    // Its signal was already aborted.
    if (stream.destroyed) return
    // The constructor of the stream has just called `nextStreamId`.
    this.#streams.set(stream, { fileIndex, streamId: this.#lastStreamId })
    stream.onDestroyed = () => this.#ended(stream)
    if (this.#closed !== undefined) {
      stream.destroy(this.#closed)
      return
    }
    this.#mediator.streamsChanged()
    // The bytes of a file that is read are stored in the file, even if it is not selected.
    if (this.#read.has(fileIndex)) return
    const isNew = !this.isSelected(fileIndex)
    this.#read.add(fileIndex)
    if (isNew) this.#mediator.wanted()
  }

  /** Returns a number that is unique among the streams of this torrent. */
  nextStreamId(): number {
    return ++this.#lastStreamId
  }

  /** Opens, moves or (undefined) closes the readahead window of a stream. */
  setWindow(streamId: number, window: ByteWindow | undefined, jumped: boolean): void {
    if (this.#closed === undefined) this.#mediator.setWindow(streamId, window, jumped)
  }

  /** Returns whether the piece at this offset is verified. */
  isReady(byteOffset: number): boolean {
    return this.#mediator.table.isVerified(this.layout.pieceAt(byteOffset))
  }

  /** Resolves with verified bytes from this offset on, at least one, once they are available. */
  readVerified(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#mediator.reader.read(byteOffset, maxLength, signal)
  }

  /** Resolves with whole blocks once they have arrived, before their piece is verified. */
  readEarly(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<EarlyBytes> {
    return this.#mediator.reader.readEarly(byteOffset, maxLength, signal)
  }

  /** Calls `listener` once a piece is verified (`true`) or wrong; returns a function that removes it. */
  onVerdict(piece: number, listener: (right: boolean) => void): () => void {
    return this.#mediator.reader.onVerdict(piece, listener)
  }

  // ---- private ----

  /** Selects by indices into the torrent's own file list, as magnet links do (BEP 53). Unknown indices are ignored. */
  #selectListed(ranges: readonly Range[]): void {
    let next = 0
    for (const [index, { pad, listIndex = index }] of this.layout.files.entries()) {
      while ((ranges[next]?.end ?? Number.POSITIVE_INFINITY) <= listIndex) next++
      const start = ranges[next]?.start
      if (!pad && start !== undefined && start <= listIndex) this.selection.setFile(index, normalPriority)
    }
  }

  #ended(stream: FileStream): void {
    if (this.#streams.delete(stream) && this.#closed === undefined) this.#mediator.streamsChanged()
  }

  get #listed(): readonly number[] {
    if (this.#indices !== undefined) return this.#indices
    const indices: number[] = []
    for (const [index, { pad }] of this.layout.files.entries()) if (!pad) indices.push(index)
    this.#indices = indices
    return indices
  }

  /** Returns the layout index of a file object or of an index into `list`. */
  #indexOf(file: number | { readonly path: string }): number {
    if (typeof file === 'number') {
      const found = this.#listed[file]
      if (found !== undefined) return found
      const message = `there is no file ${show(file)}: the torrent has ${this.#listed.length} files, and the first is 0`
      throw new TorrentError('ERR_TORRENT_SELECT', message, { details: { index: file } })
    }
    this.#byPath ??= new Map(this.#listed.map((index) => [this.layout.files[index]?.path ?? '', index]))
    const index = this.#byPath.get(file.path)
    if (index !== undefined) return index
    throw new TorrentError('ERR_TORRENT_SELECT', `'${file.path}' is not a file of this torrent`)
  }

  #checkRange(range: unknown): Range {
    if (typeof range !== 'object' || range === null || !('start' in range && 'end' in range)) {
      const hint =
        typeof range === 'string'
          ? `; to find a file by its path, use torrent.files.find(({ path }) => path === ${show(range)})`
          : ''
      const message = `${show(range)} cannot be selected: give a file of torrent.files, its index, or a byte range { start, end }${hint}`
      throw new TorrentError('ERR_TORRENT_SELECT', message)
    }
    const { length, dataLength } = this.layout
    const { start, end: given } = range as Range
    // `torrent.length` excludes pad files, but as an end it means the end of the last file.
    const end = given === dataLength ? length : given
    if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end <= length && start < end) {
      return { start, end }
    }
    const message = `the range ${show(start)} to ${show(given)} is not within the ${length} bytes of the torrent`
    throw new TorrentError('ERR_TORRENT_SELECT', message, { details: { start, end: given } })
  }
}

function isFile(item: unknown): item is { readonly path: string } {
  return typeof item === 'object' && item !== null && 'path' in item && typeof item.path === 'string'
}
