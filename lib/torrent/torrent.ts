import { EventEmitter } from 'node:events'
import { AddressBook } from '../discovery/address-book.ts'
import { Discovery } from '../discovery/discovery.ts'
import { formatMagnet } from '../metainfo/magnet.ts'
import type { InfoHashes, Metainfo } from '../metainfo/metainfo.ts'
import { parseInfo } from '../metainfo/parse-info.ts'
import { formatTorrent, parseTorrent } from '../metainfo/parse-torrent.ts'
import { normalPriority } from '../picker/selection.ts'
import type { FileStream } from '../stream/file-stream.ts'
import type { AnnounceCounters } from '../tracker/request.ts'
import type { TrackerStatus } from '../tracker/tracker-state.ts'
import type { ThrottledConnection } from '../transport/throttled.ts'
import { formatAddress, type PeerAddress, parseAddress } from '../util/address.ts'
import { toHex } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { abortable, type Deferred, deferred } from '../util/concurrency.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { version } from '../util/version.ts'
import type { Wire } from '../wire/wire.ts'
import type { WireOptions } from '../wire/wire-events.ts'
import { Content, type ContentEvents, type ContentOptions } from './content.ts'
import { DhtLink } from './dht-link.ts'
import { MetadataExchange } from './metadata-exchange.ts'
import type { Peer, PeerInfo } from './peer.ts'
import { PeerExchange } from './peer-exchange.ts'
import { ResumeKeeper } from './resume-keeper.ts'
import { Swarm } from './swarm.ts'
import type { TorrentFile } from './torrent-file.ts'
import type { TorrentHost } from './torrent-host.ts'
import type { TorrentMemo } from './torrent-memo.ts'
import type { SelectTarget, TorrentStatus } from './torrent-options.ts'
import { TrackerSet, type TrackerTiers } from './tracker-set.ts'
import { Transfer } from './transfer.ts'

/** What is said to be missing while the length is unknown: more than nothing, so that trackers name seeds too. */
const unknownLeft = 16_384
/** With fewer peers the DHT is asked again soon. */
const fewPeers = 10
/** Peers that outlive a run in which the metadata did not come. */
const mostMemoPeers = 50

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

/** State of one piece for a map. */
export interface PieceInfo {
  readonly state: 'missing' | 'checking' | 'partial' | 'verified'
  /** Connected peers that have it. */
  readonly availability: number
}

/** What a {@link Torrent} begins with. */
export interface TorrentInit extends ContentOptions {
  readonly infoHashes: InfoHashes
  /** A name until the metadata is known. */
  readonly name: string | undefined
  readonly announce: readonly (readonly string[])[]
  /** Where a default `path` lies is decided by the client; this is what it decided. */
  readonly path: string
  /** What an earlier run has left, when the torrent is brought back and not added. */
  readonly memo?: TorrentMemo | undefined
}

/** A torrent of a client: its files, its peers, and how far it is. */
export class Torrent extends EventEmitter<TorrentEvents> {
  /** The v1 info hash in hexadecimal. */
  readonly infoHash: string
  /** Folder for the data. */
  readonly path: string
  readonly #infoHashes: InfoHashes
  readonly #host: TorrentHost
  readonly #init: TorrentInit
  readonly #book: AddressBook
  readonly #discovery: Discovery
  readonly #swarm: Swarm
  readonly #metadata: MetadataExchange
  readonly #exchange: PeerExchange | undefined
  readonly #dht: DhtLink
  readonly #ready: Deferred<void> = deferred()
  readonly #trackers: TrackerSet
  readonly #addedTrackers: string[] = []
  readonly #transfer = new Transfer()
  readonly #waiting = new LazySet<Deferred<void>>()
  readonly #onError: (error: Error, torrent: Torrent) => void
  readonly #keeper: ResumeKeeper | undefined
  #metainfo: Metainfo | undefined
  #content: Content | undefined
  #opened = false
  #started = false
  /** Who has stopped it: the user, the queue of the client, or the goal that it has reached. */
  #paused: boolean
  #held = false
  #leaveNeighbours: (() => void) | undefined
  #finished: boolean
  #goalWaived: boolean
  #seedRatio: number | undefined
  #seedTime: number | undefined
  #isRestored = false
  /** `resume()` was called, and counts more than what the last run has left. */
  #resumed = false
  #superSeeding: boolean
  #downloadLimit: number
  #uploadLimit: number
  #error: Error | undefined
  #wasDone = false
  #wasUploadOnly = false
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(host: TorrentHost, init: TorrentInit, onError: (error: Error, torrent: Torrent) => void) {
    super()
    const v1 = init.infoHashes.v1 ?? new Uint8Array(20)
    this.infoHash = toHex(v1)
    this.path = init.path
    this.#infoHashes = init.infoHashes
    this.#host = host
    this.#init = init
    this.#onError = onError
    this.#paused = init.paused ?? false
    this.#finished = init.memo?.finished ?? false
    this.#goalWaived = init.memo?.goalWaived ?? false
    this.#seedRatio = init.seedRatio
    this.#seedTime = init.seedTime
    if (init.memo !== undefined) this.#transfer.restore(init.memo)
    this.#superSeeding = init.superSeeding ?? false
    this.#downloadLimit = init.downloadLimit ?? Number.POSITIVE_INFINITY
    this.#uploadLimit = init.uploadLimit ?? Number.POSITIVE_INFINITY
    this.limitsChanged()
    if (init.state !== undefined) {
      this.#keeper = new ResumeKeeper(init.state, this.infoHash, (warning) => this.emit('warning', warning))
    }
    this.#book = new AddressBook({ random: Math.random, own: host.own })
    this.#discovery = new Discovery({
      book: this.#book,
      now: monotonicMs,
      onPeers: () => this.#swarm.dial(),
      onWarning: (warning) => this.emit('warning', warning)
    })
    this.#dht = new DhtLink({
      dht: host.dht,
      discovery: this.#discovery,
      infoHash: v1,
      isSeed: () => this.#isComplete,
      isHungry: () => !this.done && this.#swarm.peers.size < fewPeers
    })
    this.#trackers = new TrackerSet({
      infoHash: v1,
      host,
      counters: () => this.#counters(),
      onAnnouncement: (announcement) => this.#discovery.attach('tracker', announcement),
      onWarning: (warning) => this.emit('warning', warning)
    })
    this.#metadata = new MetadataExchange(v1, (info) => this.#onInfo(info))
    if (host.pex) this.#exchange = new PeerExchange(this.#discovery, () => this.#isComplete)
    this.#swarm = new Swarm({
      infoHash: v1,
      peerId: host.peerId,
      book: this.#book,
      budget: host.connections,
      own: host.own,
      dial: (address, signal) => host.dial(address, signal),
      wireOptions: () => this.wireOptions(),
      onPeer: (peer, latencyMs) => this.#onPeer(peer, latencyMs),
      onGone: (peer) => this.#onGone(peer),
      onTick: (now) => this.#onTick(now)
    })
    this.addPeers(init.peers ?? [])
  }

  // ---- what it is ----

  /** Name of the file or folder; of a magnet link without one the info hash, until the metadata is known. */
  get name(): string {
    return this.#metainfo?.name ?? this.#init.name ?? this.infoHash
  }

  /** The v2 info hash in hexadecimal, for a hybrid torrent (BEP 52). */
  get infoHashV2(): string | undefined {
    const v2 = this.#metainfo?.infoHashes.v2 ?? this.#infoHashes.v2
    return v2 === undefined ? undefined : toHex(v2)
  }

  /** A magnet link to this torrent, with its trackers. */
  get magnetURI(): string {
    return formatMagnet({
      infoHashes: this.#infoHashes,
      name: this.name,
      trackers: this.#trackers.tiers.flat()
    })
  }

  /** The bytes of a .torrent file for this torrent; undefined while the metadata is unknown. */
  get torrentFile(): Uint8Array | undefined {
    return this.#metainfo === undefined
      ? undefined
      : formatTorrent({ ...this.#metainfo, announce: this.#trackers.tiers })
  }

  /** The files, without pad files; empty while the metadata is unknown. */
  get files(): readonly TorrentFile[] {
    return this.#opened ? (this.#content?.files.list ?? []) : []
  }

  /** Bytes of all files; 0 while the metadata is unknown. */
  get length(): number {
    return this.#content?.layout.length ?? 0
  }

  /** Bytes of each piece but the last. */
  get pieceLength(): number {
    return this.#content?.layout.pieceLength ?? 0
  }

  /** How many pieces there are; 0 while the metadata is unknown. */
  get pieceCount(): number {
    return this.#content?.layout.pieceCount ?? 0
  }

  /** Whether peers come from the trackers alone (BEP 27). */
  get private(): boolean {
    return this.#metainfo?.private ?? false
  }

  // ---- how far it is ----

  /** Verified part of what is selected, 0 to 1. */
  get progress(): number {
    const content = this.#content
    if (content === undefined) return 0
    const { selectedLength, selectedVerified } = content.ledger
    return selectedLength === 0 ? 1 : selectedVerified / selectedLength
  }

  /** Verified bytes, selected or not. */
  get downloaded(): number {
    return this.#content?.ledger.verifiedLength ?? 0
  }

  /** Payload bytes sent, over all runs that the resume record knows. */
  get uploaded(): number {
    this.#content?.uploads.count()
    return this.#transfer.uploaded
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
    this.#content?.uploads.count()
    return this.#transfer.up.rate(monotonicMs())
  }

  /** Milliseconds until everything selected is there at the present speed; `Infinity` while nothing comes, 0 when done. */
  get timeRemaining(): number {
    const content = this.#content
    if (content === undefined) return Number.POSITIVE_INFINITY
    const left = content.ledger.selectedLength - content.ledger.selectedVerified
    return left === 0 ? 0 : (left / this.downloadSpeed) * 1000
  }

  /** Uploaded bytes for each byte downloaded (of the torrent's length when it was all here from the start). */
  get ratio(): number {
    const base = this.#transfer.downloaded || this.length
    return base === 0 ? 0 : this.uploaded / base
  }

  /** Milliseconds as a running seed, over all runs. */
  get seedingTime(): number {
    return this.#transfer.seedingMs
  }

  /** The ratio at which it stops as `finished`; undefined for the client's `seedRatio`. May be changed at any time. */
  get seedRatio(): number | undefined {
    return this.#seedRatio
  }

  set seedRatio(ratio: number | undefined) {
    checkGoal('seedRatio', ratio)
    this.#seedRatio = ratio
    this.#host.changed(this)
  }

  /** The `seedingTime` (ms) at which it stops as `finished`; undefined for the client's `seedTime`. May be changed at any time. */
  get seedTime(): number | undefined {
    return this.#seedTime
  }

  set seedTime(milliseconds: number | undefined) {
    checkGoal('seedTime', milliseconds)
    this.#seedTime = milliseconds
    this.#host.changed(this)
  }

  /** The connected peers, as snapshots. */
  get peers(): readonly PeerInfo[] {
    const now = monotonicMs()
    return [...this.#swarm.peers.values()].map((peer) => this.#info(peer, now))
  }

  /** How each tracker fares. */
  get trackers(): readonly TrackerStatus[] {
    return this.#trackers.statuses
  }

  /** What the torrent is doing; see {@link TorrentStatus}. */
  get status(): TorrentStatus {
    const content = this.#content
    if (this.#closing !== undefined) return 'closed'
    if (this.#error !== undefined) return 'error'
    if (this.#paused) return 'paused'
    if (content === undefined || !this.#opened) return 'metadata'
    if (this.#finished) return 'finished'
    if (this.#held) return 'queued'
    if (content.done) return 'seeding'
    return content.ledger.uncheckedCount > 0 && content.download.picker.missing === 0
      ? 'checking'
      : 'downloading'
  }

  /** Whether everything selected is complete and in storage. */
  get done(): boolean {
    return this.#opened && this.#content?.done === true
  }

  /** State and availability of each piece. */
  get pieces(): readonly PieceInfo[] {
    const content = this.#content
    if (content === undefined) return []
    return Array.from({ length: content.layout.pieceCount }, (_, piece) => ({
      state: content.pieceState(piece),
      availability: content.download.picker.availability(piece)
    }))
  }

  /** The open streams. */
  get streams(): readonly FileStream[] {
    return [...(this.#content?.files.streams ?? [])]
  }

  // ---- what one can do ----

  /**
   * Whether, once everything is here, each peer is shown few pieces at a time, so that each piece leaves us about once before any
   * leaves twice (BEP 16): for the only seed of a new torrent. Peers that know already what we have are not affected.
   */
  get superSeeding(): boolean {
    return this.#content?.haves.superSeeding ?? this.#superSeeding
  }

  set superSeeding(superSeeding: boolean) {
    this.#superSeeding = superSeeding
    if (this.#content !== undefined) this.#content.haves.superSeeding = superSeeding
    this.#tellUploadOnly()
    this.#host.changed(this)
  }

  /**
   * Bytes per second that this torrent may receive, besides the client's limit; `Infinity` is none, 0 stops. May be changed
   * at any time. What peers send counts, messages included, without the headers of TCP and IP.
   * @throws RangeError when it is no number from 0 on.
   */
  get downloadLimit(): number {
    return this.#downloadLimit
  }

  set downloadLimit(bytesPerSecond: number) {
    this.#downloadLimit = checkedLimit('downloadLimit', bytesPerSecond)
    this.limitsChanged()
    this.#host.changed(this)
  }

  /** Bytes per second that this torrent may send; otherwise as {@link downloadLimit}. */
  get uploadLimit(): number {
    return this.#uploadLimit
  }

  set uploadLimit(bytesPerSecond: number) {
    this.#uploadLimit = checkedLimit('uploadLimit', bytesPerSecond)
    this.limitsChanged()
    this.#host.changed(this)
  }

  /**
   * Downloads files or byte ranges; a higher priority (1 to 7, by default 4) comes first.
   * @throws TorrentError ERR_TORRENT_SELECT for a file or range that is not there, ERR_TORRENT_METADATA before the files are known.
   */
  select(what: SelectTarget, priority: number = normalPriority): void {
    if (!Number.isInteger(priority) || priority < 1 || priority > 7) {
      throw new RangeError(`priority is ${priority}; it must be a whole number from 1 to 7`)
    }
    this.#select(what, priority)
  }

  /** Downloads only what streams read of files or byte ranges. */
  deselect(what: SelectTarget): void {
    this.#select(what, 0)
  }

  /** Stops moving payload and dialling; peers stay connected. */
  pause(): void {
    if (this.#paused || this.#closing !== undefined) return
    this.#paused = true
    this.#run()
  }

  /** Goes on after `pause()`, after an error, or beyond the goal that it had reached. */
  resume(): void {
    if (this.#closing !== undefined) return
    this.#paused = false
    this.#resumed = true
    this.#error = undefined
    if (this.#finished) this.#goalWaived = true
    this.#finished = false
    this.#run()
  }

  /** Tries a peer at once: `host:port` or an object. */
  addPeer(address: string | PeerAddress): void {
    this.addPeers([address])
  }

  /** @internal */
  addPeers(addresses: readonly (string | PeerAddress)[]): void {
    const list = addresses.map((one) => (typeof one === 'string' ? parseAddress(one) : one))
    this.#discovery.add('manual', list)
  }

  /** Announces to further trackers: one tier for each URL, or tiers of several. */
  addTrackers(trackers: TrackerTiers): void {
    const added = this.#trackers.add(trackers)
    if (added.length === 0) return
    this.#addedTrackers.push(...added)
    this.#host.changed(this)
  }

  /**
   * Resolves when everything selected is complete and in storage; rejects when the torrent fails or is closed before, or the signal
   * is aborted.
   */
  async whenDone({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    signal?.throwIfAborted()
    if (this.done) return
    if (this.#error !== undefined) throw this.#error
    if (this.#closing !== undefined) throw closedError()
    const waiting = deferred<void>()
    this.#waiting.add(waiting)
    try {
      await abortable(waiting.promise, signal)
    } finally {
      this.#waiting.delete(waiting)
    }
  }

  /** Hashes all data again; what is wrong or missing is fetched anew. Resolves when everything was looked at. */
  async recheck(): Promise<void> {
    if (this.#closing !== undefined) throw closedError()
    if (this.#content === undefined || !this.#opened) throw metadataError()
    await this.#content.recheck()
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

  /** @internal Whether the queue of the client has it wait: without peers and trackers, and without a say of the user. */
  hold(held: boolean): void {
    if (held === this.#held || this.#closing !== undefined) return
    this.#held = held
    this.#run()
  }

  /** @internal It has seeded enough. */
  finish(): void {
    if (this.#finished || this.#closing !== undefined) return
    this.#finished = true
    this.#run()
  }

  /** @internal Whether it may be finished at all: not once the user has had it go on. */
  get hasGoal(): boolean {
    return !this.#goalWaived
  }

  /** @internal Payload bytes of this run in both directions. */
  get moved(): number {
    this.#content?.uploads.count()
    return this.#transfer.received + this.#transfer.up.total
  }

  /** @internal What a restart needs to know. */
  memo(): TorrentMemo {
    const { name, path, folderMode, filePaths, select } = this.#init
    const unknown = this.#metainfo === undefined
    return {
      infoHash: this.infoHash,
      infoHashV2: this.infoHashV2,
      name: unknown ? name : undefined,
      select: select ?? this.#init.memo?.select,
      path,
      folderMode,
      filePaths,
      trackers: this.#started ? this.#trackers.tiers : this.#init.announce,
      peers: unknown ? this.#book.serialise().slice(0, mostMemoPeers).map(formatAddress) : [],
      paused: this.#paused,
      finished: this.#finished,
      goalWaived: this.#goalWaived,
      seedRatio: this.#seedRatio,
      seedTime: this.#seedTime,
      downloadLimit: finite(this.#downloadLimit),
      uploadLimit: finite(this.#uploadLimit),
      superSeeding: this.#superSeeding,
      ...this.#transfer.remember()
    }
  }

  /** @internal Resolves when the files are known and the storage is open. */
  async ready(signal?: AbortSignal): Promise<void> {
    await abortable(this.#ready.promise, signal)
  }

  /** @internal Begins to look for peers, and with the metadata if that is known. */
  async start(metainfo: Metainfo | undefined): Promise<void> {
    // A paused torrent still looks for its files, or it would never be known.
    if (this.#paused && metainfo !== undefined) this.#swarm.setDialling(false)
    const known = metainfo ?? (await this.#restored())
    if (known !== undefined && this.#metainfo === undefined) await this.#setMetainfo(known)
    // Afterwards, so that trackers hear at once how much is left.
    this.#started = true
    this.#trackers.add(this.#init.announce)
    this.addTrackers(this.#init.trackers ?? [])
    this.#askNeighbours()
    this.#askDht()
    this.#dht.addNodes(metainfo?.nodes ?? [])
  }

  /** @internal The metadata has come from elsewhere: it need not come from peers any more. */
  async learn(metainfo: Metainfo): Promise<void> {
    if (this.#metainfo === undefined && this.#closing === undefined) await this.#setMetainfo(metainfo)
  }

  /** @internal A peer that dialled us. */
  accept(connection: ThrottledConnection, wire: Wire, peerId: Uint8Array): void {
    if (this.#closing !== undefined || this.#stopped) {
      wire.destroy()
      return
    }
    connection.moveTo(this.#host.throttles)
    this.#swarm.accept(connection, wire, peerId)
  }

  /** @internal Options for the wires of this torrent. */
  wireOptions(): WireOptions {
    const layout = this.#opened ? this.#content?.layout : undefined
    const dht = this.#dht.allowed
    if (layout === undefined) return { dht }
    return { pieceCount: layout.pieceCount, pieceLength: layout.pieceLength, totalLength: layout.length, dht }
  }

  /** @internal What may be moved has changed: by a limit, a pause or an error. */
  limitsChanged(): void {
    const { throttles, downloadLimit, uploadLimit } = this.#host
    // What is on its way when payload stops is let through, so that messages behind it need not wait.
    throttles.download.rate = this.#stopped ? 0 : this.#downloadLimit
    throttles.upload.rate = this.#stopped ? 0 : this.#uploadLimit
    const content = this.#content
    if (content === undefined) return
    const { download, upload } = throttles
    content.setFetching(this.#error === undefined && download.rate > 0 && downloadLimit > 0)
    content.uploads.setLimit(Math.min(upload.rate, this.#uploadShare(uploadLimit)))
  }

  /** @internal Whether a peer wants something of us. */
  get serves(): boolean {
    return this.#content?.uploads.choker.wanted === true
  }

  /** This torrent's part of the client's limit; it decides how many peers are served at a time. */
  #uploadShare(limit: number): number {
    return limit === Number.POSITIVE_INFINITY ? limit : limit / Math.max(1, this.#host.serving)
  }

  // ---- inside ----

  /** Whether somebody has stopped it. Without its files it is not held: they are what everybody waits for. */
  get #stopped(): boolean {
    return this.#paused || this.#away
  }

  /** Whether it has left the swarm for now. */
  get #away(): boolean {
    return this.#opened && (this.#finished || this.#held)
  }

  /** Runs or stands still, as it should now. */
  #run(): void {
    const stopped = this.#stopped
    if (!stopped && this.#error === undefined) this.#content?.recover()
    this.limitsChanged()
    if (this.#away) this.#swarm.disconnect(() => true)
    // Whom we left to wait our turn is wanted again.
    else if (!stopped) this.#book.revive(monotonicMs())
    this.#swarm.setDialling(!stopped)
    this.#trackers.setActive(!this.#away)
    if (this.#away) {
      this.#leaveNeighbours?.()
      this.#leaveNeighbours = undefined
    } else if (this.#started) this.#askNeighbours()
    this.#askDht()
    this.#count()
    this.#host.changed(this)
  }

  /** Has the time count for what the torrent does now. */
  #count(): void {
    if (this.#stopped || this.#error !== undefined) this.#transfer.enter('idle')
    else this.#transfer.enter(this.done ? 'seeding' : 'active')
  }

  /** The metadata that an earlier run has fetched, if it is what the info hash says. */
  async #restored(): Promise<Metainfo | undefined> {
    const bytes = await this.#keeper?.loadTorrent()
    try {
      const metainfo = bytes === undefined ? undefined : parseTorrent(bytes)
      const v1 = metainfo?.infoHashes.v1
      return v1 !== undefined && toHex(v1) === this.infoHash ? metainfo : undefined
    } catch {
      return undefined
    }
  }

  #onInfo(info: Uint8Array): void {
    let metainfo: Metainfo
    try {
      metainfo = parseInfo(info)
    } catch (thrown) {
      this.#ready.reject(thrown)
      return
    }
    this.#setMetainfo(metainfo).catch(() => {})
    const bytes = this.torrentFile
    if (bytes !== undefined)
      this.#keeper?.keepTorrent(bytes).catch((error) => this.emit('warning', asError(error)))
  }

  async #setMetainfo(metainfo: Metainfo): Promise<void> {
    this.#metainfo = metainfo
    this.#metadata.set(metainfo.info)
    if (metainfo.private) {
      this.#discovery.makePrivate()
      this.#exchange?.stop()
      // Who came from elsewhere before that was known is no member of the tracker's swarm (BEP 27).
      this.#swarm.disconnect(({ source }) => !this.#discovery.allows(source))
    }
    try {
      const record = await this.#keeper?.load()
      if (this.#closing !== undefined) throw closedError()
      if (record !== undefined) this.#transfer.restore(record)
      // What was paused stays paused unless the caller says otherwise.
      if (record?.paused === true && this.#init.paused === undefined && !this.#resumed) this.pause()
      const events: ContentEvents = {
        peers: () => this.#swarm.peers,
        verified: (piece) => this.emit('verified', piece),
        fileDone: (file) => this.emit('file', file),
        changed: () => this.#onChanged(),
        ban: (host) => this.#swarm.ban(host),
        warning: (warning) => this.#warn(warning),
        error: (error) => this.#fail(error),
        reading: () => this.#onReading(),
        remember: () => ({
          peers: this.#book.serialise().map(formatAddress),
          trackers: this.#addedTrackers,
          paused: this.#paused
        })
      }
      // What was asked for in an earlier run counts until its record says more.
      const select =
        this.#init.select ?? (record?.selection === undefined ? this.#init.memo?.select : undefined)
      const content = new Content(
        this.#host,
        metainfo,
        { ...this.#init, select },
        events,
        this.#transfer,
        this.#keeper,
        record
      )
      this.#content = content
      this.#isRestored = record !== undefined
      content.haves.superSeeding = this.#superSeeding
      this.#discovery.add('resume', (record?.peers ?? []).flatMap(readAddress))
      this.addTrackers(record?.trackers ?? [])
      await content.open()
    } catch (thrown) {
      this.#ready.reject(thrown)
      throw thrown
    }
    if (this.#closing !== undefined) return
    this.#opened = true
    const content = this.#content
    const { layout } = content
    if (this.#stopped) this.#run()
    else this.limitsChanged()
    for (const peer of this.#swarm.peers.values()) {
      peer.wire.setPieceCount(layout.pieceCount, layout.pieceLength, layout.length)
      // They were told that we have nothing, and not how long the metadata is.
      content.haves.catchUp(peer)
      this.#introduce(peer)
      content.addPeer(peer)
    }
    this.#ready.resolve()
    this.emit('metadata')
    this.#tellEmptyFiles()
    this.#onChanged()
    this.#host.changed(this)
    this.#swarm.dial()
  }

  /** Empty files consist of no piece, and are complete as soon as they are there: in the first run. */
  #tellEmptyFiles(): void {
    if (this.#isRestored) return
    for (const file of this.files) if (file.length === 0 && file.selected) this.emit('file', file)
  }

  #onPeer(peer: Peer, latencyMs: number | undefined): void {
    const { wire } = peer
    const content = this.#opened ? this.#content : undefined
    if (latencyMs !== undefined) peer.latencyMs = latencyMs
    if (content === undefined) wire.haveNone()
    else content.haves.greet(peer)
    this.#dht.meet(peer)
    this.#metadata.addPeer(peer)
    this.#exchange?.addPeer(peer)
    this.#introduce(peer)
    content?.addPeer(peer)
    wire.on('extended-handshake', ({ port, yourIp }) => {
      if (yourIp !== undefined) this.#host.own.told(peer.connection.remote.host, yourIp)
      if (port === undefined) return
      this.#swarm.listens(peer, port)
      this.#exchange?.listens(peer)
    })
    peer.onUploadOnly = () => {
      if (this.#opened) this.#content?.uploads.setUploadOnly(peer)
      this.#dropIfUseless(peer)
    }
    wire.on('bitfield', () => peer.onUploadOnly?.())
    wire.on('have', () => wire.peerSeeding && peer.onUploadOnly?.())
    this.emit('peer', this.#info(peer, monotonicMs()))
    if (this.#away) this.#swarm.disconnect((other) => other === peer)
  }

  /** Sends our extended handshake (BEP 10): again when the metadata has become known. */
  #introduce(peer: Peer): void {
    const { wire, connection } = peer
    peer.toldUploadOnly = this.#uploadOnly
    wire.extendedHandshake({
      version: `piecewise/${version}`,
      port: this.#host.port,
      yourIp: connection.remote.host,
      metadataSize: this.#metadata.length,
      uploadOnly: peer.toldUploadOnly
    })
  }

  get #isComplete(): boolean {
    return this.#opened && this.#content?.ledger.complete === true
  }

  /** Looks for peers in the local network (BEP 14), unless the torrent is private. */
  /** Looks for peers in the DHT and announces us, unless we stand still; without the files we look all the same. */
  #askDht(): void {
    if (this.#away || (this.#stopped && this.#opened)) this.#dht.stop()
    else if (this.#started && this.#closing === undefined) this.#dht.start()
  }

  #askNeighbours(): void {
    const { lsd } = this.#host
    if (lsd === undefined || this.#closing !== undefined || !this.#discovery.allows('lsd')) return
    if (this.#away || this.#leaveNeighbours !== undefined) return
    const peers = lsd.peers(this.#infoHashes.v1 ?? new Uint8Array(20))
    this.#leaveNeighbours = this.#discovery.attach('lsd', peers)
  }

  #onGone(peer: Peer): void {
    this.#metadata.removePeer(peer)
    this.#exchange?.removePeer(peer)
    if (this.#opened) this.#content?.removePeer(peer)
    // Of what a private torrent must not know, this was in use when it was forgotten.
    if (!this.#discovery.allows(peer.source)) this.#book.forget(peer.source)
    // It was left before our turn came, and has gone only now.
    if (peer.unneeded && !this.#stopped && !this.done && this.#closing === undefined) {
      this.#book.revive(monotonicMs())
      this.#swarm.dial()
    }
  }

  #onTick(now: number): void {
    this.#metadata.wake()
    this.#exchange?.tick(now)
    if (!this.#opened || this.#content === undefined) return
    if (this.#host.uploadLimit !== Number.POSITIVE_INFINITY && this.#content.uploads.isDue(now))
      this.limitsChanged()
    this.#content.tick(now)
    // Streams may want what is not selected.
    this.#tellUploadOnly()
  }

  /** Two that only upload have nothing to say to each other (BEP 21). */
  #dropIfUseless(peer: Peer): void {
    if (this.#isUploadOnly && peer.uploadOnly) this.#swarm.disconnect((other) => other === peer)
  }

  get #isUploadOnly(): boolean {
    return this.#opened && this.#content?.uploadOnly === true
  }

  /** What peers are told of it: a seed that pretends to have nothing must not be taken for one that is of no use. */
  get #uploadOnly(): boolean {
    return this.#isUploadOnly && this.#content?.haves.hides === false
  }

  #onChanged(): void {
    const content = this.#content
    if (content === undefined || !this.#opened) return
    content.uploads.setSeeding(content.done, content.ledger.complete && !content.haves.superSeeding)
    this.#tellUploadOnly()
    if (!content.done) {
      if (this.#wasDone) this.#wantAgain()
      this.#wasDone = false
      return
    }
    if (this.#wasDone) return
    this.#wasDone = true
    this.#count()
    this.#host.changed(this)
    if (content.ledger.complete && this.#transfer.received > 0) this.#trackers.completed()
    for (const waiting of this.#waiting) waiting.resolve()
    this.emit('done')
  }

  /** Lets peers know when we begin or cease to download, and lets go of those that then are of no use to each other. */
  #tellUploadOnly(): void {
    const isUploadOnly = this.#isUploadOnly
    for (const peer of this.#swarm.peers.values()) peer.tellUploadOnly(this.#uploadOnly)
    if (isUploadOnly === this.#wasUploadOnly) return
    this.#wasUploadOnly = isUploadOnly
    if (isUploadOnly) this.#swarm.disconnect((peer) => peer.uploadOnly)
    else this.#wantAgain()
  }

  /** Peers that had nothing for us may have something now. */
  #wantAgain(): void {
    if (this.#finished) {
      this.#finished = false
      this.#run()
    }
    this.#book.revive(monotonicMs())
    this.#swarm.dial()
  }

  /** Somebody reads: what is missing must come, whatever the queue or the goal said. */
  #onReading(): void {
    if (!this.#away || this.#content?.ledger.complete === true) return
    this.#finished = false
    this.#run()
  }

  #warn(warning: Error): void {
    // The fault that stopped the torrent is met again when it is saved.
    if (this.#error?.message !== warning.message) this.emit('warning', warning)
  }

  #fail(error: Error): void {
    if (this.#closing !== undefined || this.#error !== undefined) return
    this.#error = error
    this.#content?.suspend(error)
    this.#count()
    for (const waiting of this.#waiting) waiting.reject(error)
    if (this.listenerCount('error') > 0) this.emit('error', error)
    else this.#onError(error, this)
  }

  /** What trackers are told of this run. */
  #counters(): AnnounceCounters {
    this.#content?.uploads.count()
    return {
      uploaded: this.#transfer.up.total,
      downloaded: this.#transfer.down.total,
      left: this.#content === undefined ? unknownLeft : this.length - this.downloaded
    }
  }

  #select(what: SelectTarget, priority: number): void {
    const content = this.#content
    if (this.#closing !== undefined) throw closedError()
    if (content === undefined || !this.#opened) throw metadataError()
    content.files.select(what, priority)
  }

  #info(peer: Peer, now: number): PeerInfo {
    const requests = this.#content?.download.picker.peer(peer.id)?.outstanding.length ?? 0
    return peer.info(now, requests, this.pieceCount)
  }

  async #close(removing: boolean, end: (content: Content) => Promise<void>): Promise<void> {
    for (const waiting of this.#waiting) waiting.reject(closedError())
    this.#ready.reject(closedError())
    const goodbyes = this.#trackers.close()
    this.#discovery.close()
    this.#swarm.close()
    if (this.#content !== undefined) {
      try {
        await end(this.#content)
      } catch (thrown) {
        this.emit('warning', asError(thrown))
      }
    } else if (removing) await this.#keeper?.remove()
    else await this.#keeper?.stop()
    await goodbyes
    this.emit('close', this)
  }
}

/** The address in a text of our own making, or none. */
function readAddress(text: string): PeerAddress[] {
  try {
    return [parseAddress(text)]
  } catch {
    return []
  }
}

function checkedLimit(name: string, bytesPerSecond: number): number {
  if (bytesPerSecond >= 0) return bytesPerSecond
  throw new RangeError(`${name} is ${bytesPerSecond}; it must be bytes per second from 0 on, or Infinity`)
}

function closedError(): TorrentError {
  return new TorrentError('ERR_TORRENT_CLOSED', 'the torrent was closed')
}

/** A limit, or undefined for none. */
function finite(limit: number): number | undefined {
  return Number.isFinite(limit) ? limit : undefined
}

/** Refuses an end to seeding that is no number from 0 on. */
function checkGoal(name: string, value: number | undefined): void {
  if (value === undefined || value >= 0) return
  throw new TorrentError('ERR_CLIENT_OPTION', `${name}: ${value} must be a number from 0 on`, {
    details: { option: name }
  })
}

function metadataError(): TorrentError {
  return new TorrentError('ERR_TORRENT_METADATA', 'the files are not known yet: wait for the metadata')
}
