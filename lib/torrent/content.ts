import { hashKey, type InfoHashes, wireHash } from '../metainfo/info-hashes.ts'
import { Layout, type Range } from '../metainfo/layout.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import { Ledger } from '../pieces/ledger.ts'
import { Checker } from '../storage/checker.ts'
import type { FileStorage } from '../storage/file-storage.ts'
import { foreignFiles } from '../storage/foreign-files.ts'
import { ReadCache } from '../storage/read-cache.ts'
import { type RecordExtras, Recorder } from '../storage/recorder.ts'
import { pieceTrust, trustSteps } from '../storage/resume-check.ts'
import type { ResumeKeeper } from '../storage/resume-keeper.ts'
import type { LoadedRecord } from '../storage/resume-record.ts'
import type { Storage, StorageStats } from '../storage/storage.ts'
import { UserStorage } from '../storage/user-storage.ts'
import { partsOf, piecesOfTurn, Verification } from '../storage/verification.ts'
import { VerifiedReader } from '../storage/verified-reader.ts'
import { Haves } from '../swarm/haves.ts'
import type { Peer } from '../swarm/peer.ts'
import { Uploads } from '../swarm/uploads.ts'
import { hasBit } from '../util/bits.ts'
import { monotonicMs } from '../util/clock.ts'
import { type Deferred, deferred } from '../util/concurrency.ts'
import { asError } from '../util/errors.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { runStepsInTurns, shareTurn } from '../util/turn-share.ts'
import { type DataFolder, isByName, removeEmptyFolders, storageIn } from './data-folder.ts'
import { Download } from './download.ts'
import { ExistingFiles } from './existing-files.ts'
import { FileArrivals } from './file-arrivals.ts'
import { closedError } from './torrent-errors.ts'
import type { TorrentFile } from './torrent-file.ts'
import { TorrentFiles } from './torrent-files.ts'
import type { TorrentHost } from './torrent-host.ts'
import type { AddOptions } from './torrent-options.ts'
import type { Transfer } from './transfer.ts'
import { findVanished } from './vanished.ts'

/** What pages read ahead for uploads may take, in bytes. */
const uploadCacheBytes = 24 << 20

/** What is known of the data besides the metainfo. */
export interface ContentOptions extends Omit<AddOptions, 'path'>, DataFolder {
  /** The identity of the torrent for its life, whatever the metadata adds. */
  readonly infoHashes: InfoHashes
  /** Selection used without `select`: half-open ranges of the torrent's own file list (BEP 53). */
  readonly selectOnly?: readonly Range[] | undefined
  /** The data was hashed just now and is all there. */
  readonly complete?: boolean | undefined
}

/** Activity of a torrent that is not stopped; see {@link TorrentStatus}. */
export type Activity = 'checking' | 'downloading' | 'seeding' | 'idle'

/** What a {@link Content} tells and asks its torrent. */
export interface ContentEvents {
  peers(): ReadonlyMap<number, Peer>
  /** A piece is verified. */
  verified(piece: number): void
  /** Every byte of a file is stored in its own file. */
  fileDone(file: TorrentFile): void
  /** What is selected may have become complete, or incomplete. */
  changed(): void
  ban(host: string): void
  warning(error: Error): void
  /** Storage failed: nothing more is fetched until `recover`. */
  error(error: Error): void
  /** A stream has opened a window or moved it. */
  reading(): void
  /** A stream was opened or closed. */
  streamsChanged(): void
  remember(): RecordExtras
}

/** The data of a torrent whose metadata is known: its parts, and how they are joined. */
export class Content {
  readonly layout: Layout
  readonly ledger: Ledger
  readonly files: TorrentFiles
  readonly download: Download
  readonly uploads: Uploads
  readonly haves: Haves
  readonly #metainfo: Metainfo
  readonly #options: ContentOptions
  readonly #events: ContentEvents
  readonly #storage: Storage
  /** The same, if the torrent has no storage of its own. */
  readonly #fileStorage: FileStorage | undefined
  #existing: ExistingFiles | undefined
  readonly #recorder: Recorder | undefined
  readonly #before: LoadedRecord | undefined
  readonly #reader: VerifiedReader
  readonly #verification: Verification
  readonly #cache: ReadCache
  readonly #arrivals: FileArrivals
  /** Resolves when the storage has opened, or with false when that has failed. */
  #opening: Promise<boolean> | undefined
  /** Pieces whose priority has changed, and the picker does not know it yet. */
  #reselected: number[][] = []
  #applying = false
  #opened = false
  /** Resolves after `open`, when everybody knows of it. */
  readonly #begun: Deferred<void> = deferred()
  #closed = false
  /** Whether kept bytes are about to be moved. */
  #moving = false
  /** Whether `changed` is about to be told. */
  #changing = false
  /** Files of which it was said that data is gone that was here. */
  readonly #vanished = new LazySet<number>()
  /** Storage does not know yet which files are wanted. */
  #selectFailed = false

  /** The content of a torrent as `before` says that the last run left it; `keeper` takes the records of this run. */
  constructor(
    host: TorrentHost,
    metainfo: Metainfo,
    options: ContentOptions,
    events: ContentEvents,
    transfer: Transfer,
    keeper: ResumeKeeper | undefined,
    before: LoadedRecord | undefined
  ) {
    const record = before?.record
    this.#metainfo = metainfo
    this.#options = options
    this.#events = events
    this.#before = before
    const infoHash = hashKey(options.infoHashes)
    const layout = new Layout(metainfo.pieceLength, metainfo.files)
    this.layout = layout
    this.ledger = new Ledger(layout)
    this.haves = new Haves({
      pieceCount: layout.pieceCount,
      ledger: this.ledger,
      peers: () => events.peers(),
      superSeeding: options.superSeeding ?? false
    })
    if (options.storage === undefined) {
      const onOwning = keeper === undefined ? undefined : async () => this.#recorder?.own()
      this.#storage = this.#fileStorage = storageIn(
        options,
        infoHash,
        host,
        record,
        onOwning === undefined ? {} : { onOwning }
      )
    } else this.#storage = new UserStorage(options.storage)
    this.download = new Download(layout, this.#storage, host.budget, {
      peer: (id) => events.peers().get(id),
      peers: () => events.peers().values(),
      expectedHash: (piece) => this.#expected(piece),
      arrived: (piece) => this.#reader.arrived(piece),
      failed: (piece) => this.#reader.failed(piece),
      received: (peer, bytes) => {
        const now = monotonicMs()
        peer.down.add(bytes, now)
        transfer.down.add(bytes, now)
        transfer.received += bytes
      },
      wasted: (bytes) => {
        transfer.received += bytes
      },
      verified: (piece) => this.#verified(piece),
      written: (piece) => this.#stored(piece),
      lost: (piece) => this.#lost(piece),
      ban: (banned) => events.ban(banned),
      error: (error) => events.error(error)
    })
    const checker = new Checker({
      storage: this.#storage,
      layout,
      expected: (piece) => this.#expected(piece),
      pool: host.hashPool
    })
    this.#verification = new Verification(checker, this.ledger, {
      unchecked: (pieces) => this.download.change((picker, now) => picker.unchecked(pieces, now)),
      missing: (piece) => this.download.change((picker, now) => picker.lost(piece, now)),
      found: (piece) => {
        this.#existing?.verified(piece)
        this.download.change((picker, now) => picker.had({ start: piece, end: piece + 1 }, now))
        this.#verified(piece)
        this.#stored(piece)
      },
      failed: (piece) => this.#existing?.failed(piece) === true,
      isHeld: (piece) => this.#existing?.isHeld(piece) === true,
      proven: (piece) => {
        this.#existing?.verified(piece)
        this.haves.got(piece)
      },
      lost: (piece, wasProven) => {
        if (wasProven) void this.#tellVanished(piece)
        this.#lost(piece)
        this.download.change((picker, now) => picker.lost(piece, now))
        events.changed()
      },
      warning: (error) => events.warning(error)
    })
    this.#reader = new VerifiedReader(layout, this.#storage, this.download.assembly, {
      has: (piece) => this.download.picker.has(piece),
      prove: (piece) => (this.ledger.isUnproven(piece) ? this.#verification.proveNow(piece) : true),
      missing: (piece) => this.#verification.proveNow(piece)
    })
    this.#arrivals = new FileArrivals(layout, this.ledger, this.#storage, {
      isSelected: (fileIndex) => this.files.isSelected(fileIndex),
      arrived: (fileIndex) => {
        const file = this.files.at(fileIndex)
        if (file !== undefined) events.fileDone(file)
      }
    })
    this.files = new TorrentFiles(layout, options, record?.selection, {
      ledger: this.ledger,
      reader: this.#reader,
      isDone: (fileIndex) => this.#arrivals.isHere(fileIndex),
      setWindow: (streamId, window, jumped) => this.#setWindow(streamId, window, jumped),
      selected: (pieces, files) => {
        this.#selected(pieces)
        this.#arrivals.reselected(files)
        this.#recorder?.touch()
      },
      wanted: () => this.#wantFiles(),
      streamsChanged: () => events.streamsChanged()
    })
    if (keeper !== undefined) {
      const { ledger } = this
      const { selection } = this.files
      this.#recorder = new Recorder({
        keeper,
        before,
        infoHash,
        path: options.path,
        layout,
        // Names count only where the files are called by them.
        spelling: isByName(options) ? metainfo.spelling : undefined,
        storage: this.#storage,
        owned: (planned) => this.#fileStorage?.ownership?.bits(planned),
        ledger,
        selection,
        transfer,
        remember: () => events.remember()
      })
    }
    this.#cache = new ReadCache(
      layout,
      this.#storage,
      (piece) => this.ledger.serves(piece),
      uploadCacheBytes,
      host.budget
    )
    this.uploads = new Uploads(wireHash(options.infoHashes), layout, this.#cache, host.uploadLimit, {
      // A super-seed has nothing as far as peers know.
      grants: () => !this.haves.hides,
      peer: (id) => events.peers().get(id),
      serves: (piece) => this.ledger.serves(piece),
      sent: (peer, bytes) => {
        const now = monotonicMs()
        peer.up.add(bytes, now)
        transfer.up.add(bytes, now)
      },
      unreadable: (piece) => {
        this.#verification.proveNow(piece).catch(() => {})
      }
    })
  }

  /**
   * Whether everything selected is verified and in storage, with bytes that were kept elsewhere in their files; while nothing is
   * selected, whether every byte is.
   */
  get done(): boolean {
    if (!this.#arrivals.isSettled) return false
    return this.ledger.complete || (!this.files.selection.isEmpty && this.ledger.selectedComplete)
  }

  /** Whether every piece is stored. */
  get complete(): boolean {
    return this.ledger.complete
  }

  /** Its activity while it is not stopped. */
  get activity(): Activity {
    const { ledger, files, download } = this
    if (ledger.complete) return 'seeding'
    if (ledger.uncheckedCount > 0 && download.picker.missing === 0) return 'checking'
    if (files.isReading) return 'downloading'
    if (this.done) return 'seeding'
    return files.selection.isEmpty ? 'idle' : 'downloading'
  }

  /** Verified part of what is selected, 0 to 1; 0 while nothing is selected, unless every byte is here. */
  get progress(): number {
    if (this.ledger.complete) return 1
    return this.files.selection.isEmpty ? 0 : this.ledger.selectedProgress
  }

  /** Missing bytes of what is selected; `Infinity` while nothing is selected, unless every byte is here. */
  get selectedLeft(): number {
    if (this.ledger.complete) return 0
    return this.files.selection.isEmpty ? Number.POSITIVE_INFINITY : this.ledger.selectedLeft
  }

  /** Whether we will download nothing more unless something else is selected or read (BEP 21). */
  get uploadOnly(): boolean {
    if (this.ledger.complete) return true
    return this.done && this.ledger.selectedLength > 0 && this.download.picker.missing === 0
  }

  // ---- life ----

  /**
   * Opens the storage and finds out what is there: at once by the resume record, else by a check in the background.
   * Rejects when the storage cannot be opened.
   */
  async open(): Promise<void> {
    const opening = this.#storage.open(this.layout, this.files.wanted())
    this.#opening = opening.then(
      () => true,
      () => false
    )
    await opening
    const stats = await this.#storage.stats?.()
    await shareTurn()
    if (this.#closed) return
    const { pieceCount } = this.layout
    const selected: number[] = []
    for (let start = 0; start < pieceCount; start += piecesOfTurn) {
      const turn = shareTurn()
      if (turn !== undefined) await turn
      const range = { start, end: Math.min(pieceCount, start + piecesOfTurn) }
      for (const piece of this.ledger.setPriorities(start, this.files.selection.pieces(range)))
        selected.push(piece)
      if (this.#closed) return
    }
    const { complete, verify } = this.#options
    if (complete) await this.#found({ start: 0, end: pieceCount })
    else if (stats !== undefined) await this.#trust(stats, verify ? undefined : this.#before)
    else if (verify) await this.#check(this.#allPieces())
    // Kept bytes of files that are wanted now.
    if (!this.#closed && stats?.parts !== undefined) await this.#storage.select?.(this.files.wanted())
    // Now that it is known what is here, or else the picker would prepare for fetching all of it.
    if (!this.#closed) await this.#tellPriorities(selected)
    if (!this.#closed) await this.#arrivals.begin()
    if (this.#closed) return
    // From now on a record may say what is here.
    this.#opened = true
    setImmediate(() => this.#begun.resolve())
    if (complete) this.#recorder?.touch()
  }

  /** Hashes everything that is in storage again, and fetches what is missing or wrong. */
  async recheck(): Promise<void> {
    const pieces = this.#allPieces()
    // What has come whole is still taken, but no more blocks, so that this ends also under full load.
    for (const part of partsOf(pieces.filter((piece) => !this.download.picker.has(piece)))) {
      await shareTurn()
      if (this.#closed) throw closedError()
      const missing = part.filter((piece) => !this.download.picker.has(piece))
      this.download.change((picker, now) => picker.unchecked(missing, now))
    }
    await this.download.assembly.idle()
    if (this.#closed) throw closedError()
    const served = pieces.filter((piece) => this.ledger.serves(piece))
    for (const piece of pieces) {
      this.ledger.setVerified(piece, false)
      this.#arrivals.lost(piece)
    }
    await this.#verification.mark(pieces)
    if (this.#closed) throw closedError()
    await this.#verification.check(pieces)
    if (this.#closed) throw closedError()
    for (const piece of served) if (!this.ledger.serves(piece)) this.haves.lost(piece)
    this.#vanished.clear()
    this.#events.changed()
  }

  /** Reads go on after `suspend` with an error; whether anything is fetched says `setFetching`. */
  recover(): void {
    this.#reader.recover()
    if (this.#selectFailed) this.#wantFiles()
    this.#existing?.reconsider()
  }

  /** Files that were there before the torrent may be overwritten. */
  allowOverwriting(): void {
    this.#existing?.acceptAll()
  }

  /** Allows requests, or takes back all that are outstanding and sends none. */
  setFetching(fetching: boolean): void {
    this.download.change((picker, now) => picker.setActive(fetching, now))
  }

  /** Nothing is fetched any more, and open reads reject with `error` if one is given. */
  suspend(error?: Error): void {
    this.setFetching(false)
    if (error !== undefined) this.#reader.fail(error)
  }

  /** Saves what is there, with the blocks of incomplete pieces, and releases everything; idempotent. */
  async close(): Promise<void> {
    if (!this.#stop()) return
    await Promise.all([this.#verification.close(), this.#existing?.close()])
    await this.download.assembly.idle()
    const partial = await this.download.assembly.save((error) => this.#events.warning(error))
    try {
      await this.#recorder?.close(this.#opened ? partial : undefined)
    } catch (thrown) {
      this.#events.warning(asError(thrown))
    }
    await this.download.assembly.close()
    await this.#storage.close()
  }

  /** Closes and removes the resume record, and the data that this torrent wrote if asked to. */
  async remove(deleteFiles: boolean): Promise<void> {
    if (!this.#stop()) return
    await Promise.all([this.#verification.close(), this.#existing?.close()])
    // Before it is open there is nothing that could be deleted, but there may be a moment later.
    const isOpen = deleteFiles && (await this.#opening) === true
    await this.download.assembly.close()
    try {
      await this.#recorder?.remove()
    } catch (thrown) {
      this.#events.warning(asError(thrown))
    }
    const ours = this.#options.folderMode !== undefined || this.#storage.created?.includes('./') === true
    if (isOpen) await this.#storage.delete()
    else await this.#storage.close()
    await removeEmptyFolders(this.#options, deleteFiles && ours)
  }

  // ---- peers ----

  /** Takes a peer after the handshakes. */
  addPeer(peer: Peer): void {
    this.download.addPeer(peer, peer.latencyMs)
    this.uploads.addPeer(peer)
  }

  /** To be called once a second while there are peers. */
  tick(now: number): void {
    this.uploads.count()
    this.uploads.reconsider()
    this.haves.tick(now)
    this.uploads.tick(now, (id) => this.download.picker.peer(id)?.snubbed === true)
  }

  /** The peer has gone. */
  removePeer(peer: Peer): void {
    this.download.removePeer(peer)
    this.uploads.removePeer(peer)
    this.haves.removePeer(peer)
  }

  // ---- inside ----

  /** Windows go to the picker; what one begins with is checked first. */
  #setWindow(streamId: number, window: ByteWindow | undefined, jumped: boolean): void {
    const { uploadOnly } = this
    this.download.setWindow(streamId, window, jumped)
    if (window !== undefined) this.#events.reading()
    if (uploadOnly !== this.uploadOnly) this.#events.changed()
    this.#verification.setWindow(streamId, window)
  }

  #expected(piece: number): Uint8Array {
    return this.#metainfo.pieces.subarray(20 * piece, 20 * piece + 20)
  }

  #allPieces(): number[] {
    return Array.from({ length: this.layout.pieceCount }, (_, piece) => piece)
  }

  /** Believes of the data on disk what the record and the rules allow, and checks the rest. */
  async #trust(stats: StorageStats, before: LoadedRecord | undefined): Promise<void> {
    const { pieces, partial } = await runStepsInTurns(
      trustSteps(this.layout, before?.record, stats, before?.trust)
    )
    const held = this.#beginExisting(pieces, stats)
    const unproven: number[] = []
    const unknown: number[] = []
    for (let start = 0, end = 0; start < pieces.length; start = end) {
      const state = pieces[start]
      while (end < pieces.length && pieces[end] === state) end++
      if (state === pieceTrust.unknown) for (let piece = start; piece < end; piece++) unknown.push(piece)
      if (state !== pieceTrust.have && state !== pieceTrust.unproven) continue
      await this.#found({ start, end })
      if (this.#closed) return
      if (state === pieceTrust.have) continue
      for (let piece = start; piece < end; piece++) {
        this.ledger.setUnproven(piece, true)
        unproven.push(piece)
      }
    }
    for (const [piece, map] of partial) {
      const blocks = Array.from({ length: this.layout.blockCount(piece) }, (_, block) => block).filter(
        (block) => hasBit(map, block)
      )
      this.download.assembly.stored(piece, blocks)
      this.download.change((picker) => picker.stored(piece, blocks))
    }
    if (held.length > 0) await this.#verification.mark(held)
    this.#existing?.start()
    if (unknown.length > 0) await this.#check(unknown)
    if (this.#closed) return
    if (unproven.length > 0) void this.#verification.prove(unproven)
  }

  /** Keeps files from being changed that were there before the torrent; returns missing pieces that must not be fetched yet. */
  #beginExisting(pieces: Uint8Array, stats: StorageStats): number[] {
    const ownership = this.#fileStorage?.ownership
    if (ownership === undefined || this.#options.overwrite) return []
    const { layout } = this
    const files = foreignFiles(layout, this.#before, stats, this.#options.path)
    this.#existing = new ExistingFiles(
      {
        layout,
        ownership,
        release: (released) => {
          this.#verification.release(released)
          this.#events.changed()
        },
        recheck: (again) => void this.#verification.check(again),
        isKept: (fileIndex) => this.#storage.inPlace?.(fileIndex) === false,
        decided: (fileIndex) => this.#moveKept(fileIndex),
        refused: (error) => {
          void this.#begun.promise.then(() => {
            if (!this.#closed) this.#events.error(error)
          })
        }
      },
      files
    )
    return this.#existing.begin(pieces, stats)
  }

  /** A file may be written from now on: bytes of it that are kept move to it. */
  #moveKept(fileIndex: number): void {
    if (this.#moving || this.#storage.inPlace?.(fileIndex) !== false) return
    this.#moving = true
    void this.#begun.promise.then(() => {
      this.#moving = false
      if (this.#closed) return
      this.#arrivals.reselected({ start: 0, end: this.layout.files.length })
      this.#wantFiles()
    })
  }

  /** The pieces `[start, end)` are there, as whoever calls this knows. */
  async #found({ start, end }: Range): Promise<void> {
    for (let first = start; first < end; first += piecesOfTurn) {
      const turn = shareTurn()
      if (turn !== undefined) await turn
      if (this.#closed) return
      const part = { start: first, end: Math.min(end, first + piecesOfTurn) }
      this.download.change((picker, now) => picker.had(part, now))
      this.ledger.setFound(part)
    }
  }

  /** Has pieces that may be there looked at; resolves as soon as nobody fetches them. */
  async #check(pieces: readonly number[]): Promise<void> {
    await this.#verification.mark(pieces)
    if (!this.#closed) void this.#verification.check(pieces).then(() => this.#events.changed())
  }

  #verified(piece: number): void {
    this.ledger.setVerified(piece, true)
    this.#reader.verified(piece)
    this.#events.verified(piece)
  }

  #stored(piece: number): void {
    this.ledger.setStored(piece, true)
    this.haves.got(piece)
    this.#arrivals.stored(piece)
    this.#recorder?.touch()
    this.#tellChanged()
  }

  /** Many pieces are stored in one go, after which it is looked once at what that means. */
  #tellChanged(): void {
    if (this.#changing) return
    this.#changing = true
    queueMicrotask(() => {
      this.#changing = false
      this.#events.changed()
    })
  }

  /** A piece that was had is not there after all. */
  #lost(piece: number): void {
    const served = this.ledger.serves(piece)
    this.ledger.setVerified(piece, false)
    this.#arrivals.lost(piece)
    if (served) this.haves.lost(piece)
  }

  /** Somebody has taken data away: said once of each file until the next recheck, for only what is read is found missing. */
  async #tellVanished(piece: number): Promise<void> {
    const { start, end } = this.layout.filesOf(piece)
    const touched = Array.from({ length: end - start }, (_, n) => start + n)
    const fresh = touched.filter((fileIndex) => !this.#vanished.has(fileIndex))
    if (fresh.length === 0) return
    // Until it is known which of them it is, other pieces of theirs are not looked at.
    for (const fileIndex of fresh) this.#vanished.add(fileIndex)
    const { files, warning } = await findVanished(this.layout, this.#storage, piece)
    for (const fileIndex of fresh) if (!files.includes(fileIndex)) this.#vanished.delete(fileIndex)
    if (!this.#closed && files.some((fileIndex) => fresh.includes(fileIndex))) this.#events.warning(warning)
  }

  /** What counts as selected changes at once; who acts on it hears once of all that is changed in one go. */
  #selected(pieces: Range): void {
    this.#reselected.push(this.ledger.setPriorities(pieces.start, this.files.selection.pieces(pieces)))
    if (this.#applying) return
    this.#applying = true
    queueMicrotask(() => void this.#applySelection())
  }

  async #applySelection(): Promise<void> {
    while (this.#reselected.length > 0) {
      const lists = this.#reselected
      this.#reselected = []
      const [first = []] = lists
      await this.#tellPriorities(lists.length === 1 ? first : [...new Set(lists.flat())])
      if (this.#closed) return
    }
    this.#applying = false
    this.#wantFiles()
    this.#events.changed()
  }

  /** Tells the picker the priorities that pieces have now. */
  async #tellPriorities(pieces: readonly number[]): Promise<void> {
    for (const part of partsOf(pieces)) {
      const turn = shareTurn()
      if (turn !== undefined) await turn
      if (this.#closed) return
      const byPriority = new Map<number, number[]>()
      for (const piece of part) {
        const priority = this.ledger.priority(piece)
        const list = byPriority.get(priority)
        if (list === undefined) byPriority.set(priority, [piece])
        else list.push(piece)
      }
      // The highest first, so that what is deselected is given up only when nothing else changes.
      for (const [priority, list] of [...byPriority].sort(([a], [b]) => b - a)) {
        this.download.change((picker, now) => picker.select(list, priority, now))
      }
    }
  }

  #wantFiles(): void {
    if (!this.#opened) return
    this.#selectFailed = false
    const moved = this.#storage.select?.(this.files.wanted()) ?? Promise.resolve()
    moved.then(
      () => {
        if (this.#closed) return
        this.#existing?.reselected()
        this.#arrivals.moved()
        this.#events.changed()
      },
      (thrown) => {
        this.#selectFailed = true
        if (!this.#closed) this.#events.error(asError(thrown))
      }
    )
  }

  /** Ends what is under way; false if that was done before. */
  #stop(): boolean {
    if (this.#closed) return false
    this.#closed = true
    this.suspend(closedError())
    this.files.close(closedError())
    this.download.close()
    this.#cache.close()
    this.haves.close()
    return true
  }
}
