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
  /** The files are known. */
  metadata: []
  /** `status` has changed; it may have changed again since. */
  status: [status: TorrentStatus]
  /** A piece is verified and can be read. */
  verified: [piece: number]
  /** A file is complete and in storage. */
  file: [file: TorrentFile]
  /** A peer has connected. */
  peer: [peer: PeerInfo]
  /** Everything selected is complete and in storage; again after a selection that made it incomplete. */
  done: []
  /** Something failed that the torrent survives: a tracker, a source of peers, the resume record. */
  warning: [warning: Error]
  /** Storage or we ourselves failed; the torrent stands still until `resume()`. Without a listener the client hears it. */
  error: [error: Error]
  /** The torrent is closed. */
  close: [torrent: Torrent]
}

/** A torrent of a client: its files, its peers, and how far it is. */
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

  // ---- what it is ----

  /** Name of the file or folder; of a magnet link without one the info hash, until the metadata is known. */
  get name(): string {
    return this.#session.metadata.name
  }

  /** The v2 info hash in hexadecimal, for a hybrid torrent (BEP 52). */
  get infoHashV2(): string | undefined {
    return this.#session.metadata.infoHashV2
  }

  /** The comment in the .torrent; undefined where there is none, or while the metadata is unknown. Peers do not pass it on. */
  get comment(): string | undefined {
    return this.#session.metadata.comment
  }

  /** The program that made the .torrent, as it says; otherwise as {@link comment}. */
  get createdBy(): string | undefined {
    return this.#session.metadata.createdBy
  }

  /** When the .torrent was made, as it says; otherwise as {@link comment}. */
  get creationDate(): Date | undefined {
    return this.#session.metadata.creationDate
  }

  /** URLs of web seeds (BEP 19) that the .torrent or magnet link names. Nothing is fetched from them yet. */
  get webSeeds(): readonly string[] {
    return this.#session.metadata.webSeeds
  }

  /** A magnet link to this torrent, with its trackers and web seeds. */
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

  /** Bytes of all files, without pad files; 0 while the metadata is unknown. */
  get length(): number {
    return this.#session.data.content?.layout.dataLength ?? 0
  }

  /** Bytes of each piece but the last. */
  get pieceLength(): number {
    return this.#session.data.content?.layout.pieceLength ?? 0
  }

  /** How many pieces there are; 0 while the metadata is unknown. */
  get pieceCount(): number {
    return this.#session.data.content?.layout.pieceCount ?? 0
  }

  /** Whether peers come from the trackers alone (BEP 27), as far as is known. */
  get private(): boolean {
    return this.#session.swarm.sources.private
  }

  // ---- how far it is ----

  /** Verified part of what is selected, 0 to 1; 0 while nothing is selected, unless every byte is here. */
  get progress(): number {
    return this.#session.data.opened?.progress ?? 0
  }

  /** Verified bytes, selected or not. */
  get downloaded(): number {
    return this.#session.data.content?.table.counts.verifiedLength ?? 0
  }

  /** Payload bytes sent, over all runs that the resume record knows. */
  get uploaded(): number {
    return this.#session.transfer.uploaded
  }

  /** Payload bytes received in this run, also those that were of no use. */
  get received(): number {
    return this.#session.transfer.received
  }

  /** Payload bytes per second. */
  get downloadSpeed(): number {
    return this.#session.transfer.down.rate(monotonicMs())
  }

  /** Payload bytes per second. */
  get uploadSpeed(): number {
    return this.#session.transfer.up.rate(monotonicMs())
  }

  /**
   * Milliseconds until everything selected is there at the present speed; `Infinity` while nothing comes or nothing is selected, 0
   * when done.
   */
  get timeRemaining(): number {
    const left = this.#session.data.opened?.selectedLeft ?? Number.POSITIVE_INFINITY
    return left === 0 ? 0 : (left / this.downloadSpeed) * 1000
  }

  /** Uploaded bytes for each byte downloaded (of the torrent's length when it was all here from the start). */
  get ratio(): number {
    return this.#session.ratio
  }

  /** Milliseconds as a running seed, over all runs. */
  get seedingTime(): number {
    return this.#session.transfer.seedingMs
  }

  /** The ratio at which it stops as `finished`; undefined for the client's `seedRatio`. May be changed at any time. */
  get seedRatio(): number | undefined {
    return this.#session.limits.seedRatio
  }

  set seedRatio(ratio: number | undefined) {
    this.#session.limits.seedRatio = ratio
    this.#session.changed()
  }

  /** The `seedingTime` (ms) at which it stops as `finished`; undefined for the client's `seedTime`. May be changed at any time. */
  get seedTime(): number | undefined {
    return this.#session.limits.seedTime
  }

  set seedTime(milliseconds: number | undefined) {
    this.#session.limits.seedTime = milliseconds
    this.#session.changed()
  }

  /** The connected peers, as snapshots. */
  get peers(): readonly PeerInfo[] {
    const now = monotonicMs()
    return [...this.#session.swarm.manager.peers.values()].map((peer) => this.#session.peerInfo(peer, now))
  }

  /** How each tracker fares. */
  get trackers(): readonly TrackerStatus[] {
    return this.#session.swarm.sources.trackers.statuses
  }

  /** State of the torrent; see {@link TorrentStatus}. */
  get status(): TorrentStatus {
    return this.#session.status
  }

  /** Whether `pause()` was called last, and not `resume()`, whatever else the torrent waits for. */
  get paused(): boolean {
    return this.#session.state.paused
  }

  /** The fault that stopped the torrent, while `status` is `error`; undefined again after `resume()`. */
  get error(): Error | undefined {
    return this.#session.state.error
  }

  /** Whether everything selected is complete and in storage; while nothing is selected, whether every byte is. */
  get done(): boolean {
    return this.#session.data.opened?.done === true
  }

  /** State and availability of each piece. */
  get pieces(): readonly PieceInfo[] {
    return pieceMap(this.#session.data.content)
  }

  /** The same for at most 1024 cells of neighbouring pieces, from counts that are kept: for torrents of any size, and as often as wanted. */
  get pieceCells(): readonly PieceCell[] {
    return coarsePieceMap(this.#session.data.content)
  }

  /** The open streams. */
  get streams(): readonly FileStream[] {
    return [...(this.#session.data.content?.files.streams ?? [])]
  }

  /**
   * A picture of what the torrent does now, and why nothing is requested if so: plain data for logs and for people who ask why it is
   * slow. See {@link TorrentInspection}.
   */
  inspect(): TorrentInspection {
    return inspectTorrent(this.#session, monotonicMs())
  }

  /** The torrent with its files as plain data, for `JSON.stringify`, logs and pages. */
  toJSON(): TorrentSnapshot {
    return snapshotOf(this, this.#session.swarm.manager.peers.size)
  }

  // ---- what one can do ----

  /**
   * Whether, once everything is here, each peer is shown few pieces at a time, so that each piece leaves us about once before any
   * leaves twice (BEP 16): for the only seed of a new torrent. May be changed at any time: switched off, peers are told at once of all
   * that they were not shown; switched on, it is for peers that come from then on, as what a connected peer knows cannot be taken back.
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
   * Bytes per second that this torrent may receive, besides the client's limit; `Infinity` is none, 0 stops. May be changed
   * at any time. All bytes from peers count, messages included, without the headers of TCP and IP.
   * @throws RangeError when it is no number from 0 on.
   */
  get downloadLimit(): number {
    return this.#session.limits.download
  }

  set downloadLimit(bytesPerSecond: number) {
    this.#session.limits.download = bytesPerSecond
    this.#session.limitsChanged()
    this.#session.changed()
  }

  /** Bytes per second that this torrent may send; otherwise as {@link downloadLimit}. */
  get uploadLimit(): number {
    return this.#session.limits.upload
  }

  set uploadLimit(bytesPerSecond: number) {
    this.#session.limits.upload = bytesPerSecond
    this.#session.limitsChanged()
    this.#session.changed()
  }

  /**
   * Downloads files or byte ranges; a higher priority (1 to 7, by default 4) comes first.
   * @throws TorrentError ERR_TORRENT_SELECT for a file or range that is not there, ERR_TORRENT_METADATA before the files are known.
   */
  select(what: SelectTarget, priority: number = normalPriority): void {
    checkPriority(priority)
    this.#session.opened.files.select(what, priority)
  }

  /** Downloads only what streams read of files or byte ranges. */
  deselect(what: SelectTarget): void {
    this.#session.opened.files.select(what, 0)
  }

  /** Stops moving payload and dialling; peers stay connected. */
  pause(): void {
    if (this.#session.state.pause()) this.#session.follow()
  }

  /** Goes on after `pause()`, after an error, or beyond the goal that it had reached. */
  resume(): void {
    if (this.#session.state.resume()) this.#session.follow()
  }

  /** Tries a peer at once: `host:port` or an object. */
  addPeer(address: string | PeerAddress): void {
    this.#session.addPeers([readAddress(address)])
  }

  /**
   * Announces to further trackers: one tier for each URL, or tiers of several. They may lead anywhere, unless `trust` is `'remote'`: then
   * they reach this machine and local networks only as far as trackers of a torrent do.
   */
  addTrackers(trackers: TrackerTiers, trust: Trust = 'program'): void {
    this.#session.addTrackers(trackers, trust)
  }

  /**
   * Resolves when everything selected is complete and in storage; while nothing is selected, waits for a selection or for every
   * byte. Rejects when the torrent fails or is closed before, or the signal is aborted.
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
   * Hashes all data again; what is wrong or missing is fetched anew. Resolves when everything was looked at; rejects when the torrent
   * is closed before, which the caller may ignore.
   */
  recheck(): Promise<void> {
    const checked = (async () => this.#session.opened.checks.recheck())()
    checked.catch(() => {})
    return checked
  }

  /** Stops announcing, saves what is there, and closes everything; idempotent. */
  close(): Promise<void> {
    return this.#session.close()
  }

  #emit<E extends keyof SessionEvents>(event: E, args: SessionEvents[E]): boolean {
    // A program may have replaced `emit`, which then says nothing of listeners.
    if (event === 'error' && this.listenerCount('error') === 0) return false
    return emitSafely(this, event, event === 'close' ? [this] : args)
  }
}

// A torrent may have 400,000 files.
inspectAs(Torrent, (torrent) => ({ ...torrent.toJSON(), files: torrent.files.length }))
