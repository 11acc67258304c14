import { EventEmitter } from 'node:events'
import { hashKey } from '../metainfo/info-hashes.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { coarsePieceMap, type PieceCell, type PieceInfo, pieceMap } from '../pieces/piece-map.ts'
import { checkPriority, normalPriority } from '../pieces/selection.ts'
import { ResumeKeeper } from '../storage/resume-keeper.ts'
import type { Storage } from '../storage/storage.ts'
import type { FileStream } from '../stream/file-stream.ts'
import type { Peer, PeerInfo } from '../swarm/peer.ts'
import type { PeerManager } from '../swarm/peer-manager.ts'
import type { PeerSources } from '../swarm/peer-sources.ts'
import { Swarm } from '../swarm/swarm.ts'
import { checkTrackers, type TrackerTiers } from '../swarm/tracker-set.ts'
import type { TrackerStatus } from '../tracker/tracker-state.ts'
import type { ThrottledConnection } from '../transport/throttled.ts'
import { type PeerAddress, readAddress } from '../util/address.ts'
import { monotonicMs } from '../util/clock.ts'
import { asError } from '../util/errors.ts'
import { argumentError, checkOptionNames, checkSignal, checkType } from '../util/options.ts'
import type { Trust } from '../util/trust.ts'
import { emitSafely } from '../util/user-code.ts'
import type { Wire } from '../wire/wire.ts'
import type { WireOptions } from '../wire/wire-events.ts'
import { Completion } from './completion.ts'
import type { Activity, Content, ContentEvents } from './content.ts'
import { Opening } from './opening.ts'
import { RunState, type TorrentStatus } from './run-state.ts'
import { closedError, metadataError } from './torrent-errors.ts'
import type { TorrentFile } from './torrent-file.ts'
import type { TorrentHost } from './torrent-host.ts'
import type { TorrentInit } from './torrent-init.ts'
import { TorrentLimits } from './torrent-limits.ts'
import { mostMemoPeers, type TorrentMemo } from './torrent-memo.ts'
import { TorrentMetadata } from './torrent-metadata.ts'
import type { SelectTarget } from './torrent-options.ts'
import { Transfer } from './transfer.ts'

/** The events of a {@link Torrent}. */
export interface TorrentEvents {
  /** The files are known. */
  metadata: []
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

/** Callbacks of a {@link Torrent} to its client. */
export interface TorrentOwner {
  /** An error without a listener. */
  failed(error: Error, torrent: Torrent): void
  /** The torrent is closed. */
  closed(torrent: Torrent): void
}

/** A torrent of a client: its files, its peers, and how far it is. */
export class Torrent extends EventEmitter<TorrentEvents> {
  /** The v1 info hash in hexadecimal. */
  readonly infoHash: string
  /** Folder for the data. */
  readonly path: string
  readonly #host: TorrentHost
  readonly #init: TorrentInit
  readonly #owner: TorrentOwner
  readonly #state: RunState
  readonly #limits: TorrentLimits
  readonly #metadata: TorrentMetadata
  readonly #swarm: Swarm
  readonly #sources: PeerSources
  readonly #manager: PeerManager
  readonly #opening: Opening
  readonly #keeper: ResumeKeeper | undefined
  readonly #transfer = new Transfer()
  readonly #completion = new Completion()
  #superSeeding: boolean
  #overwrite: boolean
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(host: TorrentHost, init: TorrentInit, owner: TorrentOwner) {
    super()
    const onWarning = (warning: Error): void => this.#emit('warning', warning)
    this.infoHash = hashKey(init.infoHashes)
    this.path = init.path
    this.#host = host
    this.#init = init
    this.#owner = owner
    this.#state = new RunState(init.paused, init.memo)
    this.#limits = new TorrentLimits(init)
    this.#superSeeding = init.superSeeding ?? false
    this.#overwrite = init.overwrite ?? false
    if (init.memo !== undefined) this.#transfer.restore(init.memo)
    if (init.state !== undefined) {
      const seal = host.seal(init.state, init.path)
      this.#keeper = new ResumeKeeper(init.state, this.infoHash, seal, onWarning)
    }
    this.#metadata = new TorrentMetadata({
      infoHashes: init.infoHashes,
      memory: host.metadataMemory,
      name: init.name,
      onMetainfo: (metainfo) => this.#opening.fetched(metainfo),
      onFault: (error) => this.#opening.fail(error)
    })
    this.#swarm = new Swarm({
      infoHashes: init.infoHashes,
      host,
      state: this.#state,
      metadata: this.#metadata,
      content: () => this.#opening.opened,
      counters: () => this.#counted.counters(this.#opening.content?.table.counts.left),
      onPeer: (peer) => this.#emit('peer', this.#info(peer, monotonicMs())),
      onChokeRound: () => this.limitsChanged(),
      wantAgain: () => this.#wantAgain(),
      onWarning
    })
    this.#sources = this.#swarm.sources
    this.#manager = this.#swarm.manager
    this.#opening = new Opening({
      host,
      init,
      state: this.#state,
      metadata: this.#metadata,
      swarm: this.#swarm,
      transfer: this.#transfer,
      keeper: this.#keeper,
      events: this.#contentEvents(),
      superSeeding: () => this.#superSeeding,
      overwrite: () => this.#overwrite,
      onPaused: () => this.#follow(),
      onOpen: (content, isFirstRun) => this.#onOpen(content, isFirstRun)
    })
    // Before anybody is asked or met: the metadata that would say so may be lost.
    if (init.memo?.private === true) this.#swarm.makePrivate()
    this.limitsChanged()
    this.#sources.trackers.trust(init.memo?.trustedTrackers ?? [])
    this.addPeers(init.peers ?? [], init.trust)
    this.addPeers(init.magnetPeers ?? [], 'remote')
  }

  // ---- what it is ----

  /** Name of the file or folder; of a magnet link without one the info hash, until the metadata is known. */
  get name(): string {
    return this.#metadata.name
  }

  /** The v2 info hash in hexadecimal, for a hybrid torrent (BEP 52). */
  get infoHashV2(): string | undefined {
    return this.#metadata.infoHashV2
  }

  /** A magnet link to this torrent, with its trackers. */
  get magnetURI(): string {
    return this.#metadata.magnetURI(this.#trackerTiers)
  }

  /** The bytes of a .torrent file for this torrent; undefined while the metadata is unknown. */
  get torrentFile(): Uint8Array | undefined {
    return this.#metadata.torrentFile(this.#trackerTiers)
  }

  /** The files, without pad files; empty while the metadata is unknown. */
  get files(): readonly TorrentFile[] {
    return this.#opening.opened?.files.list ?? []
  }

  /** Bytes of all files, without pad files; 0 while the metadata is unknown. */
  get length(): number {
    return this.#opening.content?.layout.dataLength ?? 0
  }

  /** Bytes of each piece but the last. */
  get pieceLength(): number {
    return this.#opening.content?.layout.pieceLength ?? 0
  }

  /** How many pieces there are; 0 while the metadata is unknown. */
  get pieceCount(): number {
    return this.#opening.content?.layout.pieceCount ?? 0
  }

  /** Whether peers come from the trackers alone (BEP 27), as far as is known. */
  get private(): boolean {
    return this.#sources.private
  }

  // ---- how far it is ----

  /** Verified part of what is selected, 0 to 1; 0 while nothing is selected, unless every byte is here. */
  get progress(): number {
    return this.#opening.opened?.progress ?? 0
  }

  /** Verified bytes, selected or not. */
  get downloaded(): number {
    return this.#opening.content?.table.counts.verifiedLength ?? 0
  }

  /** Payload bytes sent, over all runs that the resume record knows. */
  get uploaded(): number {
    return this.#counted.uploaded
  }

  /** Payload bytes received in this run, also those that were of no use. */
  get received(): number {
    return this.#transfer.received
  }

  /** Payload bytes per second. */
  get downloadSpeed(): number {
    return this.#transfer.down.rate(monotonicMs())
  }

  /** Payload bytes per second. */
  get uploadSpeed(): number {
    return this.#counted.up.rate(monotonicMs())
  }

  /**
   * Milliseconds until everything selected is there at the present speed; `Infinity` while nothing comes or nothing is selected, 0
   * when done.
   */
  get timeRemaining(): number {
    const left = this.#opening.opened?.selectedLeft ?? Number.POSITIVE_INFINITY
    return left === 0 ? 0 : (left / this.downloadSpeed) * 1000
  }

  /** Uploaded bytes for each byte downloaded (of the torrent's length when it was all here from the start). */
  get ratio(): number {
    return this.#counted.ratio(this.length)
  }

  /** Milliseconds as a running seed, over all runs. */
  get seedingTime(): number {
    return this.#transfer.seedingMs
  }

  /** The ratio at which it stops as `finished`; undefined for the client's `seedRatio`. May be changed at any time. */
  get seedRatio(): number | undefined {
    return this.#limits.seedRatio
  }

  set seedRatio(ratio: number | undefined) {
    this.#limits.seedRatio = ratio
    this.#host.changed(this)
  }

  /** The `seedingTime` (ms) at which it stops as `finished`; undefined for the client's `seedTime`. May be changed at any time. */
  get seedTime(): number | undefined {
    return this.#limits.seedTime
  }

  set seedTime(milliseconds: number | undefined) {
    this.#limits.seedTime = milliseconds
    this.#host.changed(this)
  }

  /** The connected peers, as snapshots. */
  get peers(): readonly PeerInfo[] {
    const now = monotonicMs()
    return [...this.#manager.peers.values()].map((peer) => this.#info(peer, now))
  }

  /** How each tracker fares. */
  get trackers(): readonly TrackerStatus[] {
    return this.#sources.trackers.statuses
  }

  /** What the torrent is doing; see {@link TorrentStatus}. */
  get status(): TorrentStatus {
    return this.#state.status(this.#opening.content)
  }

  /** The fault that stopped the torrent, while `status` is `error`; undefined again after `resume()`. */
  get error(): Error | undefined {
    return this.#state.error
  }

  /** Whether everything selected is complete and in storage; while nothing is selected, whether every byte is. */
  get done(): boolean {
    return this.#opening.opened?.done === true
  }

  /** State and availability of each piece. */
  get pieces(): readonly PieceInfo[] {
    return pieceMap(this.#opening.content)
  }

  /** The same for at most 1024 cells of neighbouring pieces, from counts that are kept: for torrents of any size, and as often as wanted. */
  get pieceCells(): readonly PieceCell[] {
    return coarsePieceMap(this.#opening.content)
  }

  /** The open streams. */
  get streams(): readonly FileStream[] {
    return [...(this.#opening.content?.files.streams ?? [])]
  }

  // ---- what one can do ----

  /**
   * Whether, once everything is here, each peer is shown few pieces at a time, so that each piece leaves us about once before any
   * leaves twice (BEP 16): for the only seed of a new torrent. May be changed at any time: switched off, peers are told at once of all
   * that they were not shown; switched on, it is for peers that come from then on, as what a connected peer knows cannot be taken back.
   */
  get superSeeding(): boolean {
    return this.#superSeeding
  }

  set superSeeding(superSeeding: boolean) {
    checkType('superSeeding', superSeeding ?? null, 'boolean', argumentError)
    this.#superSeeding = superSeeding
    const { content } = this.#opening
    if (content !== undefined) {
      content.haves.superSeeding = superSeeding
      this.#seed(content)
    }
    this.#swarm.handshakes.update()
    this.#host.changed(this)
  }

  /**
   * Bytes per second that this torrent may receive, besides the client's limit; `Infinity` is none, 0 stops. May be changed
   * at any time. What peers send counts, messages included, without the headers of TCP and IP.
   * @throws RangeError when it is no number from 0 on.
   */
  get downloadLimit(): number {
    return this.#limits.download
  }

  set downloadLimit(bytesPerSecond: number) {
    this.#limits.download = bytesPerSecond
    this.limitsChanged()
    this.#host.changed(this)
  }

  /** Bytes per second that this torrent may send; otherwise as {@link downloadLimit}. */
  get uploadLimit(): number {
    return this.#limits.upload
  }

  set uploadLimit(bytesPerSecond: number) {
    this.#limits.upload = bytesPerSecond
    this.limitsChanged()
    this.#host.changed(this)
  }

  /**
   * Downloads files or byte ranges; a higher priority (1 to 7, by default 4) comes first.
   * @throws TorrentError ERR_TORRENT_SELECT for a file or range that is not there, ERR_TORRENT_METADATA before the files are known.
   */
  select(what: SelectTarget, priority: number = normalPriority): void {
    checkPriority(priority)
    this.#opened().files.select(what, priority)
  }

  /** Downloads only what streams read of files or byte ranges. */
  deselect(what: SelectTarget): void {
    this.#opened().files.select(what, 0)
  }

  /** Stops moving payload and dialling; peers stay connected. */
  pause(): void {
    if (this.#state.pause()) this.#follow()
  }

  /** Goes on after `pause()`, after an error, or beyond the goal that it had reached. */
  resume(): void {
    if (this.#state.resume()) this.#follow()
  }

  /** Tries a peer at once: `host:port` or an object. */
  addPeer(address: string | PeerAddress): void {
    this.addPeers([readAddress(address)])
  }

  /** @internal */
  addPeers(addresses: readonly (string | PeerAddress)[], trust: Trust = 'program'): void {
    this.#sources.addPeers(addresses, trust)
  }

  /**
   * Announces to further trackers: one tier for each URL, or tiers of several. They may lead anywhere, unless `trust` is `'remote'`: then
   * they reach this machine and local networks only as far as trackers of a torrent do.
   */
  addTrackers(trackers: TrackerTiers, trust: Trust = 'program'): void {
    checkTrackers(trackers, trust)
    if (this.#sources.addTrackers(trackers, trust)) this.#host.changed(this)
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
    if (this.#state.error !== undefined) throw this.#state.error
    if (this.#state.closed) throw closedError()
    await this.#completion.wait(signal)
  }

  /**
   * Hashes all data again; what is wrong or missing is fetched anew. Resolves when everything was looked at; rejects when the torrent
   * is closed before, of which nobody need take notice.
   */
  recheck(): Promise<void> {
    const checked = (async () => this.#opened().recheck())()
    checked.catch(() => {})
    return checked
  }

  /** Stops announcing, saves what is there, and closes everything; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close(false, (content) => content.close())
    return this.#closing
  }

  /** @internal Closes, and removes the resume record and perhaps the data. */
  remove(deleteFiles: boolean): Promise<void> {
    this.#closing ??= this.#close(true, (content) => content.remove(deleteFiles))
    return this.#closing
  }

  // ---- for the client ----

  /** @internal Files that were there before the torrent may be overwritten. */
  allowOverwriting(): void {
    this.#overwrite = true
    this.#opening.content?.allowOverwriting()
    this.#host.changed(this)
  }

  /** @internal Whether the queue of the client has it wait: without peers and trackers, and without a say of the user. */
  hold(held: boolean): void {
    if (this.#state.hold(held)) this.#follow()
  }

  /** @internal It has seeded enough. */
  finish(): void {
    if (this.#state.finish()) this.#follow()
  }

  /** @internal Whether it may be finished at all: not once the user has had it go on. */
  get hasGoal(): boolean {
    return !this.#state.goalWaived
  }

  /** @internal The storage that the caller brought. */
  get storage(): Storage | undefined {
    return this.#init.storage
  }

  /** @internal Payload bytes of this run in both directions. */
  get moved(): number {
    return this.#counted.moved
  }

  /** @internal What a restart needs to know. */
  memo(): TorrentMemo {
    const { name, path, folderMode, filePaths, select, selectOnly } = this.#init
    const { known } = this.#metadata
    return {
      infoHash: this.infoHash,
      infoHashV2: this.infoHashV2,
      name: known ? undefined : name,
      ...(select === undefined && selectOnly === undefined
        ? { select: this.#init.memo?.select, selectOnly: this.#init.memo?.selectOnly }
        : { select, selectOnly }),
      path,
      folderMode,
      filePaths,
      trackers: this.#trackerTiers,
      trustedTrackers: this.#sources.trackers.trusted,
      peers: known ? [] : this.#sources.remember().peers.slice(0, mostMemoPeers),
      superSeeding: this.#superSeeding,
      ...(this.#overwrite ? { overwrite: true } : {}),
      private: this.private,
      ...this.#state.remember(),
      ...this.#limits.remember(),
      ...this.#transfer.remember()
    }
  }

  /** @internal Resolves when the files are known and the storage is open. */
  async ready(signal?: AbortSignal): Promise<void> {
    await this.#opening.ready(signal)
  }

  /** @internal Begins to look for peers, and with the metadata if that is known. */
  async start(metainfo: Metainfo | undefined): Promise<void> {
    await this.#opening.start(metainfo)
    // Afterwards, so that trackers hear at once how much is left.
    this.#sources.start(this.#init.announce)
    this.addTrackers(this.#init.trackers ?? [], this.#init.trust)
  }

  /** @internal The metadata has come from elsewhere: it need not come from peers any more, and may name ways into the DHT that peers do not. */
  async learn(metainfo: Metainfo): Promise<void> {
    if (this.#state.closed) return
    if (this.#metadata.known) this.#sources.addNodes(metainfo.nodes)
    else await this.#opening.open(metainfo)
  }

  /** @internal A peer that dialled us. */
  accept(connection: ThrottledConnection, wire: Wire, peerId: Uint8Array): void {
    if (this.#state.closed || this.#state.stopped) {
      wire.destroy()
      return
    }
    connection.moveTo(this.#host.throttles)
    this.#manager.accept(connection, wire, peerId)
  }

  /** @internal Options for the wires of this torrent. */
  wireOptions(): WireOptions {
    return this.#swarm.wireOptions()
  }

  /** @internal What may be moved has changed: by a limit, a pause or an error. */
  limitsChanged(): void {
    this.#limits.apply(this.#state, this.#host, this.#opening.content)
  }

  /** @internal What it does unless something stops it; undefined until the files are known. */
  get activity(): Activity | undefined {
    return this.#opening.opened?.activity
  }

  /** @internal Whether a peer wants something of us. */
  get serves(): boolean {
    return this.#opening.content?.uploads.choker.wanted === true
  }

  // ---- inside ----

  /** All trackers, also before any of them is asked. */
  get #trackerTiers(): readonly (readonly string[])[] {
    return this.#sources.started ? this.#sources.trackers.tiers : this.#init.announce
  }

  /** What is there, for a caller who cannot do without. */
  #opened(): Content {
    if (this.#state.closed) throw closedError()
    const { opened } = this.#opening
    if (opened === undefined) throw metadataError()
    return opened
  }

  /** What was moved up to this moment: uploads are counted when somebody asks. */
  get #counted(): Transfer {
    this.#opening.content?.uploads.count()
    return this.#transfer
  }

  /** Runs or stands still, as the state says now. */
  #follow(): void {
    if (this.#state.running) this.#opening.content?.recover()
    this.limitsChanged()
    this.#swarm.update()
    this.#countTime()
    this.#host.changed(this)
  }

  /** Has the time count for what the torrent does now. */
  #countTime(): void {
    if (!this.#state.running) this.#transfer.enter('idle')
    else this.#transfer.enter(this.#opening.opened?.activity === 'seeding' ? 'seeding' : 'active')
  }

  #emit<E extends keyof TorrentEvents>(event: E, ...args: TorrentEvents[E]): void {
    emitSafely(this, event, args)
  }

  #contentEvents(): ContentEvents {
    return {
      peers: () => this.#manager.peers,
      verified: (piece) => this.#emit('verified', piece),
      fileDone: (file) => this.#emit('file', file),
      changed: () => this.#onChanged(),
      ban: (host) => this.#manager.ban(host),
      warning: (warning) => this.#warn(warning),
      error: (error) => this.#fail(error),
      reading: () => this.#onReading(),
      streamsChanged: () => this.#onActivity(),
      remember: () => ({ ...this.#sources.remember(), paused: this.#state.paused })
    }
  }

  #onOpen(content: Content, isFirstRun: boolean): void {
    // Who has given us the metadata need not be let go of and dialled again, if we may go on.
    if (this.#state.away && this.#manager.peers.size > 0) this.#host.decide()
    if (this.#state.stopped) this.#follow()
    else this.limitsChanged()
    this.#swarm.begin(content)
    this.#emit('metadata')
    // Empty files consist of no piece, and are complete as soon as they are there.
    if (isFirstRun) for (const file of content.files.empty) this.#emit('file', file)
    this.#onChanged()
    this.#host.changed(this)
    this.#manager.setDialling(!this.#state.stopped)
  }

  #onChanged(): void {
    const content = this.#opening.opened
    if (content === undefined) return
    this.#onActivity()
    this.#swarm.handshakes.update()
    this.#tellTrackers(content.table.counts.complete)
    if (!this.#completion.update(content.done)) return
    if (!content.done) this.#wantAgain()
    else {
      this.#host.changed(this)
      this.#emit('done')
    }
  }

  /** Its activity may have changed. */
  #onActivity(): void {
    const content = this.#opening.opened
    if (content === undefined) return
    this.#seed(content)
    this.#countTime()
  }

  /** Tells trackers when the last missing byte has come or was found. */
  #tellTrackers(isComplete: boolean): void {
    if (!isComplete) return
    if (this.#transfer.complete()) this.#sources.trackers.completed()
    else this.#sources.trackers.nothingLeft()
  }

  /** Serves peers in turn while nothing is to be fetched, and guides them unless they are shown few pieces anyway. */
  #seed({ uploads, activity, table, haves }: Content): void {
    uploads.setSeeding(
      activity === 'seeding' || activity === 'idle',
      table.counts.complete && !haves.superSeeding
    )
  }

  /** Peers that had nothing for us may have something now. */
  #wantAgain(): void {
    if (this.#state.unfinish()) this.#follow()
    this.#swarm.redial()
  }

  /** Somebody reads: what is missing must come, whatever the queue or the goal said. */
  #onReading(): void {
    if (!this.#state.away || this.#opening.content?.table.counts.complete === true) return
    this.#state.unfinish()
    this.#follow()
  }

  #warn(warning: Error): void {
    // The fault that stopped the torrent is met again when it is saved.
    if (this.#state.error?.message !== warning.message) this.#emit('warning', warning)
  }

  #fail(error: Error): void {
    if (!this.#state.fail(error)) return
    this.#opening.content?.suspend(error)
    this.#countTime()
    this.#completion.fail(error)
    if (this.listenerCount('error') > 0) this.#emit('error', error)
    else this.#owner.failed(error, this)
  }

  #info(peer: Peer, now: number): PeerInfo {
    const outstanding = this.#opening.content?.download.picker.peer(peer.id)?.outstanding
    return peer.info(now, outstanding, this.pieceCount)
  }

  async #close(removing: boolean, end: (content: Content) => Promise<void>): Promise<void> {
    this.#state.close()
    this.#completion.fail(closedError())
    this.#opening.fail(closedError())
    // Verified pieces that are still being written do not count as missing.
    if (this.#opening.opened?.table.counts.left === 0) this.#tellTrackers(true)
    const goodbyes = this.#swarm.close()
    try {
      if (this.#opening.content !== undefined) await end(this.#opening.content)
      else if (removing) await this.#keeper?.remove()
      else await this.#keeper?.stop()
    } catch (thrown) {
      this.#emit('warning', asError(thrown))
    }
    await goodbyes
    this.#owner.closed(this)
    this.#emit('close', this)
  }
}
