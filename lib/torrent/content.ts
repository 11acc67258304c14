import { join } from 'node:path'
import { Layout, type Range } from '../metainfo/layout.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { normalPriority, Selection } from '../picker/selection.ts'
import { Checker } from '../storage/checker.ts'
import { FileStorage } from '../storage/file-storage.ts'
import { ReadCache } from '../storage/read-cache.ts'
import { pieceTrust, trust } from '../storage/resume-check.ts'
import type { ResumeRecord } from '../storage/resume-record.ts'
import type { Storage } from '../storage/storage.ts'
import type { FileStream } from '../stream/file-stream.ts'
import { toHex } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { Download } from './download.ts'
import type { Peer } from './peer.ts'
import type { ResumeKeeper } from './resume-keeper.ts'
import { type FileHost, TorrentFile } from './torrent-file.ts'
import type { TorrentHost } from './torrent-host.ts'
import type { AddOptions } from './torrent-options.ts'
import { Uploads } from './uploads.ts'
import { VerifiedReader } from './verified-reader.ts'

/** The part of the client's memory that blocks for uploads may use. */
const uploadCacheBytes = 24 << 20
/** Pieces at the beginning of a window that are checked before all others. */
const checkAhead = 4

/** What is known of the data besides the metainfo. */
export interface ContentOptions extends AddOptions {
  /** Folder below which the files lie. */
  readonly path: string
  /** Absolute path of each file of the layout, when they lie elsewhere. */
  readonly filePaths?: readonly string[] | undefined
  /** Mode of the root folder when it is made. */
  readonly folderMode?: number | undefined
  /** Folder for the resume record; undefined keeps none. */
  readonly state: string | undefined
  /** The data was hashed just now and is all there. */
  readonly complete?: boolean | undefined
}

/** What a {@link Content} tells and asks its torrent. */
export interface ContentEvents {
  peers(): ReadonlyMap<number, Peer>
  /** A piece is verified. */
  verified(piece: number): void
  /** A file is complete. */
  fileDone(file: TorrentFile): void
  /** What is selected may have become complete, or incomplete. */
  changed(): void
  ban(host: string): void
  warning(error: Error): void
  /** Storage failed: nothing more is fetched until `recover`. */
  error(error: Error): void
  /** What the resume record should say of the torrent apart from its data. */
  remember(): Pick<ResumeRecord, 'peers' | 'trackers' | 'paused' | 'uploaded' | 'downloaded'>
}

/** The data of a torrent whose metadata is known: layout, storage, what is there, and who gets it. */
export class Content implements FileHost {
  readonly layout: Layout
  readonly files: readonly TorrentFile[]
  readonly download: Download
  readonly uploads: Uploads
  readonly streams: Set<FileStream> = new Set()
  /** Payload bytes, this run and earlier ones. */
  downloadedBefore = 0
  uploadedBefore = 0
  /** Bytes received of blocks, useful or not. */
  received = 0
  readonly #metainfo: Metainfo
  readonly #infoHash: string
  readonly #options: ContentOptions
  readonly #events: ContentEvents
  readonly #storage: Storage
  readonly #keeper: ResumeKeeper | undefined
  readonly #record: ResumeRecord | undefined
  readonly #selection: Selection
  readonly #reader: VerifiedReader
  readonly #checker: Checker
  readonly #cache: ReadCache
  /** 1 for each piece that is verified and in storage. */
  readonly #stored: Uint8Array
  /** 1 for each piece that an unclean run recorded, and that is not yet hashed. */
  readonly #unproven: Uint8Array
  /** Verified bytes of each file of the layout. */
  readonly #verified: Float64Array
  #piecePriority: Uint8Array
  #selectedLength = 0
  #selectedVerified = 0
  #unchecked = 0
  /** Pieces of the selection that are not in storage yet. */
  #selectedUnstored = 0
  #lastStreamId = 0
  #addedMs = Date.now()
  #activeSince = monotonicMs()
  #secondsActive = 0
  #wantedFiles: boolean[] = []
  #closed = false

  /** The content of a torrent as the last run's `record` left it; `keeper` takes the records of this run. */
  constructor(
    host: TorrentHost,
    metainfo: Metainfo,
    options: ContentOptions,
    events: ContentEvents,
    keeper: ResumeKeeper | undefined,
    record: ResumeRecord | undefined
  ) {
    this.#keeper = keeper
    this.#record = record
    this.#metainfo = metainfo
    this.#options = options
    this.#events = events
    const layout = new Layout(metainfo.pieceLength, metainfo.files)
    this.layout = layout
    this.files = layout.files.flatMap((entry, index) => (entry.pad ? [] : [new TorrentFile(entry, index, this)]))
    this.#stored = new Uint8Array(layout.pieceCount)
    this.#unproven = new Uint8Array(layout.pieceCount)
    this.#verified = new Float64Array(layout.files.length)
    this.#piecePriority = new Uint8Array(layout.pieceCount)
    this.#selection = new Selection(layout, options.select === undefined || options.select === 'all' ? normalPriority : 0)
    if (Array.isArray(options.select)) {
      for (const index of options.select) this.#selection.setFile(this.layoutIndex(index), normalPriority)
    }
    this.#infoHash = toHex(metainfo.infoHashes.v1 ?? new Uint8Array())
    this.#storage =
      options.storage ??
      new FileStorage({
        path: options.path,
        partsPath: join(options.state ?? options.path, `${this.#infoHash}.parts`),
        claims: host.claims,
        ...(record === undefined ? {} : { created: record.created }),
        ...(options.filePaths === undefined ? {} : { files: options.filePaths }),
        ...(options.folderMode === undefined ? {} : { folderMode: options.folderMode })
      })
    this.download = new Download(layout, this.#storage, host.budget, {
      peer: (id) => events.peers().get(id),
      peers: () => events.peers().values(),
      expectedHash: (piece) => this.#expected(piece),
      received: (peer, bytes) => {
        this.received += bytes
        peer.down.add(bytes, monotonicMs())
      },
      wasted: (bytes) => {
        this.received += bytes
      },
      verified: (piece) => {
        this.#count(piece, 1)
        this.#reader.verified(piece)
        events.verified(piece)
      },
      written: (piece) => this.#written(piece),
      lost: (piece) => this.#count(piece, -1),
      ban: (host) => events.ban(host),
      error: (error) => events.error(error)
    })
    this.#reader = new VerifiedReader(layout, this.#storage, this.download.assembly, {
      has: (piece) => this.download.picker.has(piece),
      prove: (piece) => (this.#unproven[piece] === 1 ? this.#prove(piece) : true),
      missing: (piece) => void this.#prove(piece)
    })
    this.#checker = new Checker({
      storage: this.#storage,
      layout,
      expected: (piece) => this.#expected(piece),
      pool: host.hashPool
    })
    this.#cache = new ReadCache(layout, this.#storage, (piece) => this.#serves(piece), uploadCacheBytes)
    this.uploads = new Uploads(layout, this.#cache, host.uploadLimit, {
      peer: (id) => events.peers().get(id),
      serves: (piece) => this.#serves(piece),
      sent: (peer, bytes) => peer.up.add(bytes, monotonicMs()),
      unreadable: (piece) => void this.#prove(piece)
    })
  }

  // ---- what there is ----

  /** Verified bytes of everything. */
  get verifiedLength(): number {
    let sum = 0
    for (const bytes of this.#verified) sum += bytes
    return sum
  }

  /** Bytes of what is selected, and how many of them are verified. */
  get selectedLength(): number {
    return this.#selectedLength
  }

  get selectedVerified(): number {
    return this.#selectedVerified
  }

  /** Whether everything selected is verified and in storage. */
  get done(): boolean {
    return this.#unchecked === 0 && this.#selectedUnstored === 0
  }

  /** Whether the whole torrent is in storage. */
  get complete(): boolean {
    return !this.#stored.includes(0)
  }

  /** Pieces that were found and are still to be checked. */
  get unchecked(): number {
    return this.#unchecked
  }

  /** The pieces that may be served, as a bitfield (BEP 3), or `'all'` or `'none'`. */
  bitfield(): Uint8Array | 'all' | 'none' {
    const bits = new Uint8Array(Math.ceil(this.layout.pieceCount / 8))
    let count = 0
    for (let piece = 0; piece < this.layout.pieceCount; piece++) {
      if (!this.#serves(piece)) continue
      count++
      bits[piece >> 3] = (bits[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
    }
    return count === 0 ? 'none' : count === this.layout.pieceCount ? 'all' : bits
  }

  /** State of a piece for a map. */
  pieceState(piece: number): 'missing' | 'checking' | 'partial' | 'verified' {
    if (this.download.picker.has(piece)) return 'verified'
    if (this.#isUnchecked(piece)) return 'checking'
    return this.download.picker.partial(piece) === undefined ? 'missing' : 'partial'
  }

  // ---- life ----

  /**
   * Opens the storage and finds out what is there: at once by the resume record, else by a check in the background.
   * Rejects when the storage cannot be opened.
   */
  async open(): Promise<void> {
    const { layout } = this
    const record = this.#record
    if (record !== undefined) {
      this.downloadedBefore = record.downloaded
      this.uploadedBefore = record.uploaded
      this.#addedMs = record.addedMs
      this.#secondsActive = record.secondsActive
      if (this.#options.select === undefined && record.selection !== undefined) {
        for (const [index, priority] of record.selection.priorities.entries()) this.#selection.setFile(index, priority)
        for (const range of record.selection.ranges) this.#selection.setRange(range, normalPriority)
      }
    }
    this.#wantedFiles = layout.files.map((_, index) => this.#selection.file(index) > 0)
    await this.#storage.open(layout, this.#wantedFiles)
    const stats = await this.#storage.stats?.()
    this.#applySelection()
    if (this.#options.complete) {
      this.#found(Array.from({ length: layout.pieceCount }, (_, piece) => piece))
      return
    }
    if (stats === undefined) {
      if (this.#options.verify) this.#check(Array.from({ length: layout.pieceCount }, (_, piece) => piece))
      return
    }
    const { pieces, partial } = trust(layout, this.#options.verify ? undefined : record, stats)
    const had: number[] = []
    const unproven: number[] = []
    const unknown: number[] = []
    for (let piece = 0; piece < pieces.length; piece++) {
      if (pieces[piece] === pieceTrust.have) had.push(piece)
      else if (pieces[piece] === pieceTrust.unproven) unproven.push(piece)
      else if (pieces[piece] === pieceTrust.unknown) unknown.push(piece)
    }
    for (const piece of unproven) this.#unproven[piece] = 1
    this.#found([...had, ...unproven])
    for (const [piece, map] of partial) {
      const blocks = Array.from({ length: layout.blockCount(piece) }, (_, block) => block).filter(
        (block) => (((map[block >> 3] ?? 0) >> (7 - (block & 7))) & 1) === 1
      )
      this.download.assembly.stored(piece, blocks)
      this.download.picker.stored(piece, blocks)
    }
    this.#check(unknown)
    if (unproven.length > 0) void this.#proveAll(unproven)
  }

  /** Hashes everything that is in storage again, and fetches what is missing or wrong. */
  async recheck(): Promise<void> {
    const pieces = Array.from({ length: this.layout.pieceCount }, (_, piece) => piece)
    await this.download.assembly.idle()
    for (const piece of pieces) if (this.download.picker.has(piece)) this.#count(piece, -1)
    this.#stored.fill(0)
    this.#unproven.fill(0)
    this.#countUnstored()
    await this.#check(pieces)
  }

  /** Fetches and reads go on after a storage failure. */
  recover(): void {
    this.#reader.recover()
    this.download.change((picker, now) => picker.setActive(true, now))
  }

  /** Nothing is fetched any more, and open reads reject with `error` if one is given. */
  suspend(error?: Error): void {
    this.download.change((picker, now) => picker.setActive(false, now))
    if (error !== undefined) this.#reader.fail(error)
  }

  /** Saves what is there, with the blocks of incomplete pieces, and releases everything; idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#stop()
    await this.#checker.close()
    await this.download.assembly.idle()
    try {
      const partial = await this.download.assembly.save()
      await this.#keeper?.stop()
      if (this.#keeper !== undefined) await this.#keeper.finish(await this.#makeRecord(true, partial))
    } catch (thrown) {
      this.#events.warning(asError(thrown))
    }
    await this.download.assembly.close()
    await this.#storage.close()
  }

  /** Closes and removes the data that this torrent wrote (if asked to) and its resume record. */
  async remove(deleteFiles: boolean): Promise<void> {
    if (this.#closed) return
    this.#stop()
    await this.#checker.close()
    await this.download.assembly.close()
    await this.#keeper?.remove()
    if (deleteFiles) await this.#storage.delete()
    else await this.#storage.close()
  }

  // ---- peers ----

  /** Takes a peer after the handshakes. */
  addPeer(peer: Peer, latencyMs: number): void {
    this.download.addPeer(peer, latencyMs)
    this.uploads.addPeer(peer)
  }

  /** The peer has gone. */
  removePeer(peer: Peer): void {
    this.download.removePeer(peer)
    this.uploads.removePeer(peer)
  }

  // ---- selection ----

  /** Selects (priority 1 to 7) or deselects (0) files of the layout and byte ranges. */
  select(fileIndexes: readonly number[], ranges: readonly Range[], priority: number): void {
    for (const index of fileIndexes) this.#selection.setFile(index, priority)
    for (const range of ranges) this.#selection.setRange(range, priority)
    this.#applySelection()
    void this.#wantFiles()
    this.#events.changed()
  }

  /** The index in the layout of `files[index]`. */
  layoutIndex(index: number): number {
    const file = this.files[index]
    if (file === undefined) {
      const message = `select names file ${index}; the torrent has ${this.files.length} files, counted from 0`
      throw new TorrentError('ERR_TORRENT_SELECT', message, { details: { index } })
    }
    return this.indexOf(file)
  }

  /** The index in the layout of a file. */
  indexOf(file: { readonly path: string }): number {
    const index = this.layout.files.findIndex(({ path, pad }) => !pad && path === file.path)
    if (index < 0) throw new TorrentError('ERR_TORRENT_SELECT', `'${file.path}' is no file of this torrent`)
    return index
  }

  // ---- FileHost ----

  verifiedBytes(fileIndex: number): number {
    return this.#verified[fileIndex] ?? 0
  }

  priorityOf(fileIndex: number): number {
    return this.#selection.file(fileIndex)
  }

  setPriority(fileIndex: number, priority: number): void {
    this.select([fileIndex], [], priority)
  }

  opened(stream: FileStream, fileIndex: number): void {
    this.streams.add(stream)
    stream.once('close', () => this.streams.delete(stream))
    // What is read of a file that is not selected has its place on disk too.
    if (this.#wantedFiles[fileIndex] === false) {
      this.#wantedFiles[fileIndex] = true
      void this.#wantFiles()
    }
  }

  nextStreamId(): number {
    return ++this.#lastStreamId
  }

  setWindow(
    streamId: number,
    window: { pieces: Range; bytesPerMs: number; waiting: boolean } | undefined,
    jumped: boolean
  ): void {
    if (this.#closed) return
    this.download.setWindow(streamId, window, jumped)
    if (this.#unchecked === 0 || window === undefined) return
    const end = Math.min(window.pieces.end, window.pieces.start + checkAhead)
    for (let piece = window.pieces.start; piece < end; piece++) {
      if (this.#isUnchecked(piece)) this.#checker.checkNow(piece).catch(() => {})
    }
  }

  isReady(byteOffset: number): boolean {
    return this.download.picker.has(this.layout.pieceAt(byteOffset))
  }

  readVerified(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#reader.read(byteOffset, maxLength, signal)
  }

  // ---- inside ----

  #expected(piece: number): Uint8Array {
    return this.#metainfo.pieces.subarray(20 * piece, 20 * piece + 20)
  }

  #serves(piece: number): boolean {
    return this.#stored[piece] === 1 && this.#unproven[piece] === 0
  }

  #isUnchecked(piece: number): boolean {
    return this.#uncheckedPieces[piece] === 1
  }

  #uncheckedPieces: Uint8Array = new Uint8Array(0)

  /** Counts a piece as verified (1) or no longer (-1), in every file that it touches. */
  #count(piece: number, sign: 1 | -1): void {
    const start = this.layout.pieceOffset(piece)
    const size = this.layout.pieceSize(piece)
    if ((this.#piecePriority[piece] ?? 0) > 0) this.#selectedVerified += sign * size
    for (const { fileIndex, length } of this.layout.spans({ start, end: start + size })) {
      this.#verified[fileIndex] = (this.#verified[fileIndex] ?? 0) + sign * length
    }
  }

  #found(pieces: readonly number[]): void {
    this.download.change((picker, now) => picker.had(pieces, now))
    for (const piece of pieces) {
      this.#stored[piece] = 1
      this.#count(piece, 1)
      this.#reader.verified(piece)
    }
    this.#countUnstored()
  }

  #written(piece: number): void {
    this.#stored[piece] = 1
    if ((this.#piecePriority[piece] ?? 0) > 0) this.#selectedUnstored--
    const { layout } = this
    for (const peer of this.#events.peers().values()) {
      if (!peer.wire.peerPieces.get(piece)) peer.wire.have(piece)
    }
    const start = layout.pieceOffset(piece)
    for (const { fileIndex } of layout.spans({ start, end: start + layout.pieceSize(piece) })) this.#fileDone(fileIndex)
    this.#keeper?.touch(() => this.#makeRecord(false, new Map()))
    this.#events.changed()
  }

  #fileDone(fileIndex: number): void {
    const entry = this.layout.files[fileIndex]
    if (entry === undefined || entry.pad || this.#verified[fileIndex] !== entry.length) return
    const { start, end } = this.layout.filePieces(fileIndex)
    for (let piece = start; piece < end; piece++) if (this.#stored[piece] === 0) return
    const file = this.files.find(({ path }) => path === entry.path)
    if (file !== undefined) this.#events.fileDone(file)
  }

  #applySelection(): void {
    const pieces = this.#selection.pieces()
    const byPriority = new Map<number, number[]>()
    this.#selectedLength = 0
    this.#selectedVerified = 0
    for (let piece = 0; piece < pieces.length; piece++) {
      const priority = pieces[piece] ?? 0
      if (priority > 0) {
        const size = this.layout.pieceSize(piece)
        this.#selectedLength += size
        if (this.download.picker.has(piece)) this.#selectedVerified += size
      }
      if (priority === this.#piecePriority[piece]) continue
      const list = byPriority.get(priority)
      if (list === undefined) byPriority.set(priority, [piece])
      else list.push(piece)
    }
    this.#piecePriority = pieces
    this.#countUnstored()
    // What is deselected goes last, so that a piece which only changes priority is not given up.
    const ordered = [...byPriority].sort(([a], [b]) => b - a)
    for (const [priority, list] of ordered) this.download.change((picker, now) => picker.select(list, priority, now))
  }

  #countUnstored(): void {
    let count = 0
    for (let piece = 0; piece < this.#stored.length; piece++) {
      if (this.#stored[piece] === 0 && (this.#piecePriority[piece] ?? 0) > 0) count++
    }
    this.#selectedUnstored = count
  }

  async #wantFiles(): Promise<void> {
    for (let index = 0; index < this.#wantedFiles.length; index++) {
      if (this.#selection.file(index) > 0) this.#wantedFiles[index] = true
    }
    try {
      await this.#storage.select?.([...this.#wantedFiles])
    } catch (thrown) {
      this.#events.error(asError(thrown))
    }
  }

  /** Checks pieces in the background; they are not fetched before. */
  async #check(pieces: readonly number[]): Promise<void> {
    if (pieces.length === 0) return
    if (this.#uncheckedPieces.length === 0) this.#uncheckedPieces = new Uint8Array(this.layout.pieceCount)
    for (const piece of pieces) {
      if (this.#uncheckedPieces[piece] === 0) this.#unchecked++
      this.#uncheckedPieces[piece] = 1
    }
    this.download.change((picker, now) => picker.unchecked(pieces, now))
    try {
      await this.#checker.check(pieces, { onResult: (piece, ok) => this.#checked(piece, ok) })
    } catch (thrown) {
      if (!this.#closed) this.#events.warning(asError(thrown))
    }
    this.#events.changed()
  }

  #checked(piece: number, ok: boolean): void {
    if (!this.#isUnchecked(piece) || this.#closed) return
    this.#uncheckedPieces[piece] = 0
    this.#unchecked--
    if (ok) {
      this.download.change((picker, now) => picker.had([piece], now))
      this.#count(piece, 1)
      this.#reader.verified(piece)
      this.#events.verified(piece)
      this.#written(piece)
    } else this.download.change((picker, now) => picker.lost(piece, now))
  }

  /** Hashes a piece that is believed to be there; if it is not, it is fetched anew. */
  async #prove(piece: number): Promise<boolean> {
    const ok = await this.#checker.checkNow(piece)
    this.#proven(piece, ok)
    return ok
  }

  async #proveAll(pieces: readonly number[]): Promise<void> {
    try {
      await this.#checker.check(pieces, { onResult: (piece, ok) => this.#proven(piece, ok), priority: -1 })
    } catch (thrown) {
      if (!this.#closed) this.#events.warning(asError(thrown))
    }
  }

  #proven(piece: number, ok: boolean): void {
    if (this.#closed) return
    const wasUnproven = this.#unproven[piece] === 1
    this.#unproven[piece] = 0
    if (ok) {
      if (wasUnproven) for (const { wire } of this.#events.peers().values()) wire.have(piece)
      return
    }
    if (!this.download.picker.has(piece) || this.#stored[piece] === 0) return
    this.#stored[piece] = 0
    this.#count(piece, -1)
    if ((this.#piecePriority[piece] ?? 0) > 0) this.#selectedUnstored++
    this.download.change((picker, now) => picker.lost(piece, now))
    this.#events.changed()
  }

  // ---- the resume record ----

  async #makeRecord(clean: boolean, partial: ReadonlyMap<number, readonly number[]>): Promise<ResumeRecord> {
    const verified = new Uint8Array(Math.ceil(this.layout.pieceCount / 8))
    for (let piece = 0; piece < this.layout.pieceCount; piece++) {
      if (this.#stored[piece] === 1) verified[piece >> 3] = (verified[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
    }
    // Data first, then the record that claims it.
    await this.#storage.sync()
    const stats = await this.#storage.stats?.()
    const unproven = this.#unproven.includes(1) || this.#unchecked > 0
    return {
      infoHash: this.#infoHash,
      // What was not hashed yet must be hashed by the next run as well.
      clean: clean && !unproven,
      files: stats?.files ?? this.layout.files.map(() => undefined),
      ...(stats?.parts === undefined ? {} : { parts: stats.parts.stat }),
      verified,
      partial: new Map([...partial].map(([piece, blocks]) => [piece, this.#blockMap(piece, blocks)])),
      secondsActive: this.#secondsActive + (monotonicMs() - this.#activeSince) / 1000,
      selection: { priorities: this.#selection.files, ranges: this.#selection.ranges },
      created: this.#storage.created ?? [],
      addedMs: this.#addedMs,
      path: this.#options.path,
      ...this.#events.remember()
    }
  }

  #blockMap(piece: number, blocks: readonly number[]): Uint8Array {
    const map = new Uint8Array(Math.ceil(this.layout.blockCount(piece) / 8))
    for (const block of blocks) map[block >> 3] = (map[block >> 3] ?? 0) | (0x80 >> (block & 7))
    return map
  }

  #stop(): void {
    this.#closed = true
    const error = new TorrentError('ERR_TORRENT_CLOSED', 'the torrent was closed')
    this.suspend(error)
    for (const stream of this.streams) stream.destroy(error)
    this.download.close()
    this.#cache.clear()
  }
}
