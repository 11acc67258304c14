import { hashKey, wireHash } from '../metainfo/info-hashes.ts'
import { Layout } from '../metainfo/layout.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import { PieceTable } from '../pieces/piece-table.ts'
import type { FileStorage } from '../storage/file-storage.ts'
import { ReadCache } from '../storage/read-cache.ts'
import type { ResumeFile } from '../storage/resume-file.ts'
import type { LoadedRecord } from '../storage/resume-record.ts'
import { ResumeWriter } from '../storage/resume-writer.ts'
import type { Storage } from '../storage/storage.ts'
import { UserStorage } from '../storage/user-storage.ts'
import { VerifiedReader } from '../storage/verified-reader.ts'
import { Haves } from '../swarm/haves.ts'
import type { Peer } from '../swarm/peer.ts'
import type { PeerManager } from '../swarm/peer-manager.ts'
import { Uploads } from '../swarm/uploads.ts'
import { monotonicMs } from '../util/clock.ts'
import { asError } from '../util/errors.ts'
import type { ContentEvents } from './content-events.ts'
import type { ContentOptions } from './content-options.ts'
import { DataChecks } from './data-checks.ts'
import { isByName, removeEmptyFolders, storageIn } from './data-folder.ts'
import { Download } from './download.ts'
import { FileArrivals } from './file-arrivals.ts'
import { closedError } from './torrent-errors.ts'
import { TorrentFiles } from './torrent-files.ts'
import type { TorrentHost } from './torrent-host.ts'
import type { Transfer } from './transfer.ts'
import { WantedPieces } from './wanted-pieces.ts'

/** Bytes of memory for the read cache of uploads. */
const uploadCacheBytes = 24 << 20

/** Activity of a torrent that is not stopped; see {@link TorrentStatus}. */
export type Activity = 'checking' | 'downloading' | 'seeding' | 'idle'

/** The data of a torrent whose metadata is known. Creates its parts and connects them. */
export class Content {
  readonly layout: Layout
  readonly table: PieceTable
  readonly files: TorrentFiles
  readonly download: Download
  readonly uploads: Uploads
  readonly haves: Haves
  readonly checks: DataChecks
  readonly #options: ContentOptions
  readonly #events: ContentEvents
  readonly #storage: Storage
  /** `#storage`, unless the caller of `add` passed one. */
  readonly #fileStorage: FileStorage | undefined
  readonly #resume: ResumeWriter | undefined
  readonly #reader: VerifiedReader
  readonly #wanted: WantedPieces
  readonly #cache: ReadCache
  readonly #arrivals: FileArrivals
  #closed = false
  /** Whether a `changed` event is scheduled. */
  #changing = false

  /** `before` is the resume record of the last run; `resumeFile` receives the records of this run. Call `open` afterwards. */
  constructor(
    host: TorrentHost,
    metainfo: Metainfo,
    options: ContentOptions,
    events: ContentEvents,
    manager: Pick<PeerManager, 'peers' | 'ban'>,
    transfer: Transfer,
    resumeFile: ResumeFile | undefined,
    before: LoadedRecord | undefined
  ) {
    const record = before?.record
    this.#options = options
    this.#events = events
    const infoHash = hashKey(options.infoHashes)
    const layout = new Layout(metainfo.pieceLength, metainfo.files)
    this.layout = layout
    this.table = new PieceTable(layout)
    this.haves = new Haves({
      pieceCount: layout.pieceCount,
      table: this.table,
      peers: manager.peers,
      superSeeding: options.superSeeding ?? false
    })
    if (options.storage === undefined) {
      const onOwning = resumeFile === undefined ? undefined : async () => this.#resume?.own()
      this.#storage = this.#fileStorage = storageIn(
        options,
        infoHash,
        host,
        record,
        onOwning === undefined ? {} : { onOwning }
      )
    } else this.#storage = new UserStorage(options.storage)
    const proofs = { sha1: (piece: number) => metainfo.pieces.subarray(20 * piece, 20 * piece + 20) }
    this.download = new Download(this.table, this.#storage, host.budget, proofs, manager, {
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
      written: (piece) => this.#stored(piece),
      lost: (piece) => this.#lost(piece),
      error: (error) => events.error(error)
    })
    this.#reader = new VerifiedReader(layout, this.#storage, this.download.assembly, {
      has: (piece) => this.table.isVerified(piece),
      prove: (piece) => (this.table.isUnproven(piece) ? this.checks.verification.proveNow(piece) : true),
      missing: (piece) => this.checks.verification.proveNow(piece)
    })
    this.table.onVerified((piece) => this.#reader.verified(piece))
    this.#arrivals = new FileArrivals(layout, this.table, this.#storage, {
      isSelected: (fileIndex) => this.files.isSelected(fileIndex),
      arrived: (fileIndex) => {
        const file = this.files.at(fileIndex)
        if (file !== undefined) events.fileDone(file)
      }
    })
    this.files = new TorrentFiles(layout, options, record?.selection, {
      table: this.table,
      reader: this.#reader,
      isDone: (fileIndex) => this.#arrivals.isStored(fileIndex),
      diskPath: (fileIndex) => this.#fileStorage?.pathOf(fileIndex),
      setWindow: (streamId, window, jumped) => this.#setWindow(streamId, window, jumped),
      selected: (pieces, files) => {
        this.#wanted.select(pieces)
        this.#arrivals.reselected(files)
        this.#resume?.touch()
      },
      wanted: () => this.#wanted.tellFiles(),
      streamsChanged: () => events.streamsChanged()
    })
    this.#wanted = new WantedPieces({
      layout,
      table: this.table,
      files: this.files,
      download: this.download,
      storage: this.#storage,
      moved: () => {
        this.checks.reselected()
        this.#arrivals.moved()
      },
      events
    })
    this.checks = new DataChecks({
      layout,
      table: this.table,
      storage: this.#storage,
      fileStorage: this.#fileStorage,
      download: this.download,
      haves: this.haves,
      arrivals: this.#arrivals,
      wanted: this.#wanted,
      hashPool: host.hashPool,
      content: options,
      before,
      proofs,
      found: (piece) => this.#stored(piece),
      lost: (piece) => this.#lost(piece),
      events
    })
    if (resumeFile !== undefined) {
      const { table } = this
      const { selection } = this.files
      this.#resume = new ResumeWriter({
        resumeFile,
        before,
        infoHash,
        path: options.path,
        layout,
        // Recorded only if the files on disk have the torrent's names.
        spelling: isByName(options) ? metainfo.spelling : undefined,
        storage: this.#storage,
        owned: (planned) => this.#fileStorage?.ownership?.bits(planned),
        table,
        selection,
        transfer,
        remember: () => events.remember()
      })
    }
    this.#cache = new ReadCache(
      layout,
      this.#storage,
      (piece) => this.table.serves(piece),
      uploadCacheBytes,
      host.budget
    )
    this.uploads = new Uploads(
      wireHash(options.infoHashes),
      layout,
      this.#cache,
      host.uploadLimit,
      host.serving,
      {
        // A super-seed claims to have no pieces, so it must not grant any (BEP 6).
        grants: () => !this.haves.hides,
        peers: manager.peers,
        serves: (piece) => this.table.serves(piece),
        sent: (peer, bytes) => {
          const now = monotonicMs()
          peer.up.add(bytes, now)
          transfer.up.add(bytes, now)
        },
        unreadable: (piece) => {
          this.checks.verification.proveNow(piece).catch(() => {})
        }
      }
    )
  }

  /**
   * Whether everything selected is verified and stored in the files themselves, not in the parts file. While nothing is selected,
   * whether every byte is.
   */
  get done(): boolean {
    if (!this.#arrivals.isSettled) return false
    return this.table.counts.complete || (!this.files.selection.isEmpty && this.table.counts.selectedComplete)
  }

  /** Whether every piece is stored. */
  get complete(): boolean {
    return this.table.counts.complete
  }

  /** The activity that `status` shows while nothing stops the torrent. */
  get activity(): Activity {
    const { table, files, download } = this
    if (table.counts.complete) return 'seeding'
    if (table.counts.uncheckedCount > 0 && download.picker.missing === 0) return 'checking'
    if (files.isReading) return 'downloading'
    if (this.done) return 'seeding'
    return files.selection.isEmpty ? 'idle' : 'downloading'
  }

  /** Verified share of the selected bytes, 0 to 1. While nothing is selected: 1 if every byte is stored, else 0. */
  get progress(): number {
    if (this.table.counts.complete) return 1
    return this.files.selection.isEmpty ? 0 : this.table.counts.selectedProgress
  }

  /** Missing bytes of the selection. While nothing is selected: 0 if every byte is stored, else `Infinity`. */
  get selectedLeft(): number {
    if (this.table.counts.complete) return 0
    return this.files.selection.isEmpty ? Number.POSITIVE_INFINITY : this.table.counts.selectedLeft
  }

  /** Whether nothing more is downloaded unless something else is selected or read (BEP 21). */
  get uploadOnly(): boolean {
    if (this.table.counts.complete) return true
    return this.done && this.table.counts.selectedLength > 0 && this.download.picker.missing === 0
  }

  // ---- lifecycle ----

  /** Opens the storage and determines which pieces it has. Rejects if the storage cannot be opened. */
  async open(): Promise<void> {
    await this.checks.open()
    if (this.#options.complete && !this.#closed) this.#resume?.touch()
  }

  /** Allows reads again after `suspend` with an error; `setFetching` allows requests. */
  recover(): void {
    this.#reader.recover()
    this.#wanted.recover()
    this.checks.reconsider()
  }

  /** Allows requests, or cancels all outstanding requests and sends none. */
  setFetching(fetching: boolean): void {
    this.download.change((picker, now) => picker.setActive(fetching, now))
  }

  /** Stops requests; with an `error`, waiting reads reject with it. */
  suspend(error?: Error): void {
    this.setFetching(false)
    if (error !== undefined) this.#reader.fail(error)
  }

  /** Saves the resume record and the blocks of partial pieces, and closes all parts. Idempotent. */
  async close(): Promise<void> {
    if (!this.#stop()) return
    await this.checks.close()
    await this.download.assembly.idle()
    const partial = await this.download.assembly.save((error) => this.#events.warning(error))
    try {
      await this.#resume?.close(this.checks.opened ? partial : undefined)
    } catch (thrown) {
      this.#events.warning(asError(thrown))
    }
    await this.download.assembly.close()
    await this.#storage.close()
  }

  /** Closes, and deletes the resume record; with `deleteFiles` also the data that this torrent wrote. */
  async remove(deleteFiles: boolean): Promise<void> {
    if (!this.#stop()) return
    await this.checks.close()
    // A storage that is still opening may create files, so the opening is awaited before they are deleted.
    const isOpen = deleteFiles && (await this.checks.opening) === true
    await this.download.assembly.close()
    try {
      await this.#resume?.remove()
    } catch (thrown) {
      this.#events.warning(asError(thrown))
    }
    const ours = this.#options.folderMode !== undefined || this.#storage.created?.includes('./') === true
    if (isOpen) await this.#storage.delete()
    else await this.#storage.close()
    await removeEmptyFolders(this.#options, deleteFiles && ours)
  }

  // ---- peers ----

  /** Adds a peer after the handshake; `granted` are the pieces that it allowed fast (BEP 6). */
  addPeer(peer: Peer, granted: Iterable<number>): void {
    this.download.addPeer(peer, granted)
    this.uploads.addPeer(peer)
  }

  /** Updates uploads and haves; called once a second while there are peers. */
  tick(now: number): void {
    this.uploads.count()
    this.uploads.reconsider()
    this.haves.tick(now)
    this.uploads.tick(now, (id) => this.download.picker.peer(id)?.snubbed === true)
  }

  /** Removes a peer that has disconnected. */
  removePeer(peer: Peer): void {
    this.download.removePeer(peer)
    this.uploads.removePeer(peer)
    this.haves.removePeer(peer)
  }

  // ---- private ----

  /** Passes a stream's window to the picker, and has unchecked pieces in it hashed first. */
  #setWindow(streamId: number, window: ByteWindow | undefined, jumped: boolean): void {
    const { uploadOnly } = this
    this.download.setWindow(streamId, window, jumped)
    if (window !== undefined) this.#events.reading()
    if (uploadOnly !== this.uploadOnly) this.#events.changed()
    this.checks.verification.setWindow(streamId, window)
  }

  #stored(piece: number): void {
    this.haves.got(piece)
    this.#arrivals.stored(piece)
    this.#resume?.touch()
    this.#tellChanged()
  }

  /** Emits `changed` once for all pieces that are stored in the same tick. */
  #tellChanged(): void {
    if (this.#changing) return
    this.#changing = true
    queueMicrotask(() => {
      this.#changing = false
      this.#events.changed()
    })
  }

  /** Handles a stored piece that turned out to be missing or wrong, before it is marked missing. */
  #lost(piece: number): void {
    this.#arrivals.lost(piece)
    if (this.table.serves(piece)) this.haves.lost(piece)
  }

  /** Stops all activity; returns false if it was stopped before. */
  #stop(): boolean {
    if (this.#closed) return false
    this.#closed = true
    this.checks.stop()
    this.#wanted.close()
    this.suspend(closedError())
    this.files.close(closedError())
    this.download.close()
    this.#cache.close()
    this.haves.close()
    return true
  }
}
