import { EventEmitter } from 'node:events'
import { coarsePieceMap, type PieceCell, type PieceInfo, pieceMap } from '../pieces/piece-map.ts'
import { checkPriority, normalPriority } from '../pieces/selection.ts'
import type { FileStream } from '../stream/file-stream.ts'
import type { PeerInfo } from '../swarm/peer.ts'
import type { TrackerTiers } from '../swarm/tracker-set.ts'
import type { TrackerStatus } from '../tracker/tracker-state.ts'
import { type PeerAddress, readAddress } from '../util/address.ts'
import { monotonicMs } from '../util/clock.ts'
import { inspectAs } from '../util/inspect-as.ts'
import { argumentError, checkOptionNames, checkSignal, checkType } from '../util/options.ts'
import type { Trust } from '../util/trust.ts'
import { emitSafely } from '../util/user-code.ts'
import { inspectTorrent } from './inspect-torrent.ts'
import type { TorrentStatus } from './run-state.ts'
import type { SessionEvents } from './session-events.ts'
import { snapshotOf, type TorrentSnapshot } from './snapshots.ts'
import { closedError } from './torrent-errors.ts'
import type { TorrentFile } from './torrent-file.ts'
import type { TorrentInspection } from './torrent-inspection.ts'
import type { SelectTarget } from './torrent-options.ts'
import type { TorrentSession } from './torrent-session.ts'

/** The events of a {@link Torrent}. */
export interface TorrentEvents {
  /** The files are known and the storage is open. */
  metadata: []
  /** `status` has changed. By the time listeners run it may have changed again. */
  status: [status: TorrentStatus]
  /** A piece is verified and can be read. */
  verified: [piece: number]
  /** Every byte of a file is verified and in the file itself. */
  file: [file: TorrentFile]
  /** A peer has connected. */
  peer: [peer: PeerInfo]
  /** Everything selected is verified and stored. Emitted again after a selection that adds missing bytes. */
  done: []
  /** A fault that the torrent survives, such as of a tracker, a peer source or the resume record. */
  warning: [warning: Error]
  /** A fault that stops the torrent until `resume()`, usually of storage. Without a listener here the client emits it. */
  error: [error: Error]
  /** The torrent is closed. */
  close: [torrent: Torrent]
}

/** A torrent of a client: its files, peers and progress. */
export class Torrent extends EventEmitter<TorrentEvents> {
  /** The v1 info hash in hexadecimal. */
  readonly infoHash: string
  /** Folder for the data. */
  readonly path: string
  readonly #session: TorrentSession

  /** @internal */
  constructor(session: TorrentSession) {
    super()
    this.infoHash = session.infoHash
    this.path = session.path
    this.#session = session
    session.listen((event, ...args) => this.#emit(event, args))
  }

  // ---- identity ----

  /** Name of the file or folder. Until the metadata is known: the name in the magnet link, or else the info hash. */
  get name(): string {
    return this.#session.metadata.name
  }

  /** The v2 info hash in hexadecimal; undefined unless the torrent is a hybrid (BEP 52). */
  get infoHashV2(): string | undefined {
    return this.#session.metadata.infoHashV2
  }

  /** The comment in the .torrent. Undefined if there is none, or if the metadata came from peers, who send only the info dictionary. */
  get comment(): string | undefined {
    return this.#session.metadata.comment
  }

  /** The program that created the .torrent, as the .torrent says; undefined in the same cases as {@link comment}. */
  get createdBy(): string | undefined {
    return this.#session.metadata.createdBy
  }

  /** Creation date in the .torrent; undefined in the same cases as {@link comment}. */
  get creationDate(): Date | undefined {
    return this.#session.metadata.creationDate
  }

  /** Web seed URLs (BEP 19) of the .torrent or magnet link. Nothing is fetched from them yet. */
  get webSeeds(): readonly string[] {
    return this.#session.metadata.webSeeds
  }

  /** Magnet link of this torrent, with its trackers and web seeds. */
  get magnetURI(): string {
    return this.#session.metadata.magnetURI(this.#session.trackerTiers)
  }

  /** The bytes of a .torrent file for this torrent; undefined while the metadata is unknown. */
  get torrentFile(): Uint8Array | undefined {
    return this.#session.torrentFile
  }

  /** The files, without pad files; empty while the metadata is unknown. */
  get files(): readonly TorrentFile[] {
    return this.#session.data.opened?.files.list ?? []
  }

  /** Total bytes of the files, without pad files; 0 while the metadata is unknown. */
  get length(): number {
    return this.#session.data.content?.layout.dataLength ?? 0
  }

  /** Bytes per piece (the last may be shorter); 0 while the metadata is unknown. */
  get pieceLength(): number {
    return this.#session.data.content?.layout.pieceLength ?? 0
  }

  /** Number of pieces; 0 while the metadata is unknown. */
  get pieceCount(): number {
    return this.#session.data.content?.layout.pieceCount ?? 0
  }

  /** Whether the torrent is private (BEP 27): peers come only from its trackers. May change when the metadata becomes known. */
  get private(): boolean {
    return this.#session.swarm.sources.private
  }

  // ---- progress and state ----

  /** Verified share of the selected bytes, 0 to 1. While nothing is selected: 1 if every byte is stored, else 0. */
  get progress(): number {
    return this.#session.data.opened?.progress ?? 0
  }

  /** Number of verified bytes, selected or not. */
  get downloaded(): number {
    return this.#session.data.content?.table.counts.verifiedLength ?? 0
  }

  /** Payload bytes sent, over all runs that the resume record counts. */
  get uploaded(): number {
    return this.#session.transfer.uploaded
  }

  /** Payload bytes received in this run, including wasted ones. */
  get received(): number {
    return this.#session.transfer.received
  }

  /** Payload bytes per second received from peers. */
  get downloadSpeed(): number {
    return this.#session.transfer.down.rate(monotonicMs())
  }

  /** Payload bytes per second sent to peers. */
  get uploadSpeed(): number {
    return this.#session.transfer.up.rate(monotonicMs())
  }

  /**
   * Milliseconds until everything selected is verified, at the current speed. `Infinity` without download speed or a selection, 0
   * when done.
   */
  get timeRemaining(): number {
    const left = this.#session.data.opened?.selectedLeft ?? Number.POSITIVE_INFINITY
    return left === 0 ? 0 : (left / this.downloadSpeed) * 1000
  }

  /** Bytes uploaded per byte downloaded; per byte of the torrent's length if nothing was downloaded. */
  get ratio(): number {
    return this.#session.ratio
  }

  /** Milliseconds of seeding, over all runs. */
  get seedingTime(): number {
    return this.#session.transfer.seedingMs
  }

  /** Ratio at which it stops as `finished`; undefined means the client's `seedRatio`. Can change at any time. */
  get seedRatio(): number | undefined {
    return this.#session.limits.seedRatio
  }

  set seedRatio(ratio: number | undefined) {
    this.#session.limits.seedRatio = ratio
    this.#session.changed()
  }

  /** `seedingTime` in ms at which it stops as `finished`; undefined means the client's `seedTime`. Can change at any time. */
  get seedTime(): number | undefined {
    return this.#session.limits.seedTime
  }

  set seedTime(milliseconds: number | undefined) {
    this.#session.limits.seedTime = milliseconds
    this.#session.changed()
  }

  /** Snapshots of the connected peers. */
  get peers(): readonly PeerInfo[] {
    const now = monotonicMs()
    return [...this.#session.swarm.manager.peers.values()].map((peer) => this.#session.peerInfo(peer, now))
  }

  /** Status of each tracker. */
  get trackers(): readonly TrackerStatus[] {
    return this.#session.swarm.sources.trackers.statuses
  }

  /** State of the torrent; see {@link TorrentStatus}. */
  get status(): TorrentStatus {
    return this.#session.status
  }

  /** Whether the torrent is paused, also while `status` names another reason, such as `error`. */
  get paused(): boolean {
    return this.#session.state.paused
  }

  /** The fault that stopped the torrent; undefined before, and after `resume()`. */
  get error(): Error | undefined {
    return this.#session.state.error
  }

  /** Whether everything selected is verified and stored; while nothing is selected, whether every byte is. */
  get done(): boolean {
    return this.#session.data.opened?.done === true
  }

  /** State and availability of each piece. Takes time in proportion to the number of pieces. */
  get pieces(): readonly PieceInfo[] {
    return pieceMap(this.#session.data.content)
  }

  /** State and availability in at most 1024 cells of adjacent pieces. Cheap for torrents of any size: the counts are kept up to date. */
  get pieceCells(): readonly PieceCell[] {
    return coarsePieceMap(this.#session.data.content)
  }

  /** The open streams. */
  get streams(): readonly FileStream[] {
    return [...(this.#session.data.content?.files.streams ?? [])]
  }

  /**
   * Returns a detailed snapshot of the torrent as plain data, for diagnosing slow downloads. It includes the reasons if no blocks are
   * requested.
   */
  inspect(): TorrentInspection {
    return inspectTorrent(this.#session, monotonicMs())
  }

  /** Returns the torrent and its files as plain data, for `JSON.stringify`, logs and pages. */
  toJSON(): TorrentSnapshot {
    return snapshotOf(this, this.#session.swarm.manager.peers.size)
  }

  // ---- settings and methods ----

  /**
   * Super-seeding (BEP 16), for the only seed of a new torrent. While every byte is stored, each peer is shown only a few pieces at a
   * time, so that each piece is uploaded about once before any is uploaded twice. Can change at any time: `true` applies to peers that
   * connect later, because pieces cannot be hidden again; `false` shows all pieces to all peers at once.
   */
  get superSeeding(): boolean {
    return this.#session.seeding.superSeeding
  }

  set superSeeding(superSeeding: boolean) {
    checkType('superSeeding', superSeeding ?? null, 'boolean', argumentError)
    this.#session.seeding.superSeeding = superSeeding
    this.#session.changed()
  }

  /**
   * Bytes per second that this torrent may receive, within the client's limit. `Infinity` is no limit, 0 stops. Can change at any
   * time. Counts all bytes from peers, including protocol messages, except TCP and IP headers.
   * @throws RangeError unless the value is 0 or more; `Infinity` is allowed.
   */
  get downloadLimit(): number {
    return this.#session.limits.download
  }

  set downloadLimit(bytesPerSecond: number) {
    this.#session.limits.download = bytesPerSecond
    this.#session.limitsChanged()
    this.#session.changed()
  }

  /** Bytes per second that this torrent may send; see {@link downloadLimit}. */
  get uploadLimit(): number {
    return this.#session.limits.upload
  }

  set uploadLimit(bytesPerSecond: number) {
    this.#session.limits.upload = bytesPerSecond
    this.#session.limitsChanged()
    this.#session.changed()
  }

  /**
   * Selects files or byte ranges for download. A higher priority (1 to 7, default 4) comes first.
   * @throws TorrentError ERR_TORRENT_SELECT for an unknown file or range; ERR_TORRENT_METADATA before the files are known.
   */
  select(what: SelectTarget, priority: number = normalPriority): void {
    checkPriority(priority)
    this.#session.opened.files.select(what, priority)
  }

  /** Deselects files or byte ranges: only what streams read is downloaded. */
  deselect(what: SelectTarget): void {
    this.#session.opened.files.select(what, 0)
  }

  /** Stops payload in both directions and new connections. Peers stay connected. */
  pause(): void {
    if (this.#session.state.pause()) this.#session.follow()
  }

  /** Continues after `pause()` or an error, or after `seedRatio` or `seedTime` was reached, then without such a goal. */
  resume(): void {
    if (this.#session.state.resume()) this.#session.follow()
  }

  /**
   * Connects to a peer at once: `host:port` or an object.
   * @throws TorrentError ERR_UTIL_ADDRESS if the address is malformed.
   */
  addPeer(address: string | PeerAddress): void {
    this.#session.addPeers([readAddress(address)])
  }

  /**
   * Adds trackers and announces to them. A URL is a tier of its own, an array is a tier of several. With `trust` `'remote'`, local
   * addresses are restricted as for trackers in a .torrent.
   */
  addTrackers(trackers: TrackerTiers, trust: Trust = 'program'): void {
    this.#session.addTrackers(trackers, trust)
  }

  /**
   * Resolves when everything selected is verified and stored. While nothing is selected, waits for a selection or for every byte.
   * Rejects if the torrent fails or is closed first, or the signal is aborted.
   */
  async whenDone(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkOptionNames(options, ['signal'], argumentError)
    const { signal } = options
    checkSignal(signal, argumentError)
    signal?.throwIfAborted()
    if (this.done) return
    if (this.#session.state.error !== undefined) throw this.#session.state.error
    if (this.#session.state.closed) throw closedError()
    await this.#session.completion.wait(signal)
  }

  /**
   * Hashes all data again; pieces that are wrong or missing are downloaded again. Resolves when all pieces are checked. Rejects if the
   * torrent is closed first; that rejection need not be handled.
   */
  recheck(): Promise<void> {
    const checked = (async () => this.#session.opened.checks.recheck())()
    checked.catch(() => {})
    return checked
  }

  /** Stops announcing, saves the resume record, and closes peers, streams and storage. Idempotent. */
  close(): Promise<void> {
    return this.#session.close()
  }

  #emit<E extends keyof SessionEvents>(event: E, args: SessionEvents[E]): boolean {
    // A program may have replaced `emit`, whose result then says nothing about listeners.
    if (event === 'error' && this.listenerCount('error') === 0) return false
    return emitSafely(this, event, event === 'close' ? [this] : args)
  }
}

// Shows only the number of files: a torrent may have 400,000.
inspectAs(Torrent, (torrent) => ({ ...torrent.toJSON(), files: torrent.files.length }))
