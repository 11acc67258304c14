import { hashKey } from '../metainfo/info-hashes.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { ResumeFile } from '../storage/resume-file.ts'
import type { Storage } from '../storage/storage.ts'
import type { Peer, PeerInfo } from '../swarm/peer.ts'
import { Swarm } from '../swarm/swarm.ts'
import { checkTrackers, type TrackerTiers } from '../swarm/tracker-set.ts'
import type { PeerAddress } from '../util/address.ts'
import { monotonicMs } from '../util/clock.ts'
import { asError } from '../util/errors.ts'
import type { Trust } from '../util/trust.ts'
import { Completion } from './completion.ts'
import type { Activity, Content } from './content.ts'
import type { ContentEvents } from './content-events.ts'
import { Opening } from './opening.ts'
import { RunState, type TorrentStatus } from './run-state.ts'
import { saveTorrent } from './save-torrent.ts'
import type { SavedTorrent } from './saved-torrent.ts'
import { Seeding } from './seeding.ts'
import type { SessionEvents, SessionListener, TorrentOwner } from './session-events.ts'
import { TorrentData } from './torrent-data.ts'
import { closedError, metadataError } from './torrent-errors.ts'
import type { TorrentHost } from './torrent-host.ts'
import type { TorrentInit } from './torrent-init.ts'
import { TorrentLimits } from './torrent-limits.ts'
import { TorrentMetadata } from './torrent-metadata.ts'
import { Transfer } from './transfer.ts'

/** The internal torrent behind the public `Torrent`: owns the state and connects the parts. Used by client and user. */
export class TorrentSession {
  /** The v1 info hash in hexadecimal. */
  readonly infoHash: string
  /** Folder for the data. */
  readonly path: string
  readonly host: TorrentHost
  readonly state: RunState
  readonly data: TorrentData
  readonly metadata: TorrentMetadata
  readonly swarm: Swarm
  readonly limits: TorrentLimits
  readonly completion: Completion = new Completion()
  readonly #transfer = new Transfer()
  readonly #init: TorrentInit
  readonly #owner: TorrentOwner
  readonly #opening: Opening
  readonly #resumeFile: ResumeFile | undefined
  #listener: SessionListener | undefined
  readonly seeding: Seeding
  #overwrite: boolean
  /** The status that was last emitted. */
  #emittedStatus: TorrentStatus
  #closing: Promise<void> | undefined

  constructor(host: TorrentHost, init: TorrentInit, owner: TorrentOwner) {
    const onWarning = (warning: Error): void => void this.#emit('warning', warning)
    this.infoHash = hashKey(init.infoHashes)
    this.path = init.path
    this.host = host
    this.#init = init
    this.#owner = owner
    this.state = new RunState(init.paused, init.saved)
    this.data = new TorrentData(this.state)
    this.#emittedStatus = this.status
    this.limits = new TorrentLimits(init)
    this.#overwrite = init.overwrite ?? false
    if (init.saved !== undefined) this.#transfer.restore(init.saved)
    if (init.state !== undefined) {
      const seal = host.seal(init.state, init.path)
      this.#resumeFile = new ResumeFile(init.state, this.infoHash, seal, onWarning)
    }
    this.metadata = new TorrentMetadata({
      infoHashes: init.infoHashes,
      memory: host.metadataMemory,
      name: init.name,
      webSeeds: init.webSeeds ?? []
    })
    this.swarm = new Swarm({
      infoHashes: init.infoHashes,
      host,
      state: this.state,
      metadata: this.metadata,
      counters: () => this.transfer.counters(this.data.content?.table.counts.left),
      onPeer: (peer) => void this.#emit('peer', this.peerInfo(peer, monotonicMs())),
      onChokeRound: () => this.limitsChanged(),
      wantAgain: () => this.#wantAgain(),
      onWarning
    })
    this.seeding = new Seeding({
      state: this.state,
      data: this.data,
      swarm: this.swarm,
      transfer: this.#transfer,
      superSeeding: init.superSeeding ?? false
    })
    this.#opening = new Opening({
      host,
      init,
      state: this.state,
      data: this.data,
      metadata: this.metadata,
      swarm: this.swarm,
      transfer: this.#transfer,
      resumeFile: this.#resumeFile,
      events: this.#contentEvents(),
      superSeeding: () => this.seeding.superSeeding,
      overwrite: () => this.#overwrite,
      onPaused: () => this.follow(),
      onVerified: (piece) => void this.#emit('verified', piece),
      onOpen: (content, isFirstRun) => this.#onOpen(content, isFirstRun)
    })
    // Makes the torrent private before any peer or tracker is contacted. The saved torrent has the flag even if the saved metadata is lost.
    if (init.saved?.private === true) this.swarm.makePrivate()
    this.limitsChanged()
    this.swarm.sources.trackers.trust(init.saved?.trustedTrackers ?? [])
    this.addPeers(init.peers ?? [], init.trust)
    this.addPeers(init.magnetPeers ?? [], 'remote')
  }

  /** Sets the listener that emits events on the public `Torrent`. */
  listen(listener: SessionListener): void {
    this.#listener = listener
  }

  // ---- identity and state ----

  /** Trackers by tier, also before the first announce. */
  get trackerTiers(): readonly (readonly string[])[] {
    const { sources } = this.swarm
    return sources.started ? sources.trackers.tiers : this.#init.announce
  }

  /** Bytes of the .torrent; undefined while the metadata is unknown. */
  get torrentFile(): Uint8Array | undefined {
    return this.metadata.torrentFile(this.trackerTiers)
  }

  get status(): TorrentStatus {
    return this.state.status(this.data.content)
  }

  /** Activity while nothing stops the torrent; undefined until the files are known. */
  get activity(): Activity | undefined {
    return this.data.opened?.activity
  }

  /** Payload counters over all runs, updated with the uploads up to now. */
  get transfer(): Transfer {
    this.data.content?.uploads.count()
    return this.#transfer
  }

  /** Bytes uploaded per byte downloaded; per byte of the torrent's length if nothing was downloaded. */
  get ratio(): number {
    return this.transfer.ratio(this.data.content?.layout.dataLength ?? 0)
  }

  /** Whether `seedRatio` and `seedTime` apply; false after the user has resumed a finished torrent. */
  get hasGoal(): boolean {
    return !this.state.goalWaived
  }

  /** Whether a peer is interested in us. */
  get serves(): boolean {
    return this.data.content?.uploads.choker.hasInterested === true
  }

  /** The storage that the caller of `add` passed, if any. */
  get storage(): Storage | undefined {
    return this.#init.storage
  }

  /** The open content. @throws TorrentError ERR_TORRENT_METADATA before the files are known; ERR_TORRENT_CLOSED. */
  get opened(): Content {
    if (this.state.closed) throw closedError()
    const { opened } = this.data
    if (opened === undefined) throw metadataError()
    return opened
  }

  /** Returns a snapshot of a peer at `now` (monotonic). */
  peerInfo(peer: Peer, now: number): PeerInfo {
    const { content } = this.data
    return peer.info(now, content?.download.load(peer.id), content?.layout.pieceCount ?? 0)
  }

  /** Returns the saved form of this torrent for a restart. */
  save(): SavedTorrent {
    return saveTorrent({
      infoHash: this.infoHash,
      init: this.#init,
      metadata: this.metadata,
      swarm: this.swarm,
      state: this.state,
      limits: this.limits,
      transfer: this.#transfer,
      trackers: this.trackerTiers,
      superSeeding: this.seeding.superSeeding,
      overwrite: this.#overwrite
    })
  }

  // ---- for the client ----

  /** Opens with the metadata, if it is given or saved, and starts to look for peers. */
  async start(metainfo: Metainfo | undefined): Promise<void> {
    await this.#opening.start(metainfo)
    // After opening, so that the first announce says how much is left.
    this.swarm.sources.start(this.#init.announce)
    this.addTrackers(this.#init.trackers ?? [], this.#init.trust)
  }

  /** Uses the metadata of a second `add`: opens with it, or else adds only the DHT nodes that it names. */
  async learn(metainfo: Metainfo): Promise<void> {
    if (this.state.closed) return
    if (this.metadata.known) this.swarm.sources.addNodes(metainfo.nodes)
    else await this.#opening.open(metainfo)
  }

  /** Resolves when the files are known and the storage is open. */
  async ready(signal?: AbortSignal): Promise<void> {
    await this.#opening.ready(signal)
  }

  /** Queues the torrent, without peers and trackers, or lets it run. */
  setQueued(queued: boolean): void {
    if (this.state.setQueued(queued)) this.follow()
  }

  /** Stops a seed that has reached its goal. */
  finish(): void {
    if (this.state.finish()) this.follow()
  }

  /** Applies changed limits, pauses and errors. */
  limitsChanged(): void {
    this.limits.apply(this.state, this.host, this.data.content)
  }

  /** Allows files that existed before the torrent to be overwritten. */
  allowOverwriting(): void {
    this.#overwrite = true
    this.data.content?.checks.allowOverwriting()
    this.changed()
  }

  /** Stops announcing, saves the resume record, and closes all parts. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close(false, (content) => content.close())
    return this.#closing
  }

  /** Closes, and deletes the resume record; with `deleteFiles` also the data. */
  remove(deleteFiles: boolean): Promise<void> {
    this.#closing ??= this.#close(true, (content) => content.remove(deleteFiles))
    return this.#closing
  }

  // ---- for the user ----

  /** Connects to peers at once. */
  addPeers(addresses: readonly (string | PeerAddress)[], trust: Trust = 'program'): void {
    this.swarm.sources.addPeers(addresses, trust)
  }

  /** Adds trackers and announces to them. */
  addTrackers(trackers: TrackerTiers, trust: Trust = 'program'): void {
    checkTrackers(trackers, trust)
    if (this.swarm.sources.addTrackers(trackers, trust)) this.changed()
  }

  /** Applies a changed state: runs or stops the torrent. */
  follow(): void {
    if (this.state.running) this.data.content?.recover()
    this.limitsChanged()
    this.swarm.update()
    this.seeding.countTime()
    this.changed()
    this.#emitStatus()
  }

  /** Notifies the client of a change that is saved, or that affects which torrents run. */
  changed(): void {
    this.host.changed()
  }

  // ---- events ----

  #emit<E extends keyof SessionEvents>(event: E, ...args: SessionEvents[E]): boolean {
    return this.#listener?.(event, ...args) === true
  }

  #contentEvents(): ContentEvents {
    const { sources } = this.swarm
    return {
      fileDone: (file) => void this.#emit('file', file),
      changed: () => this.#onChanged(),
      warning: (warning) => this.#warn(warning),
      error: (error) => this.#fail(error),
      reading: () => this.#onReading(),
      streamsChanged: () => {
        this.seeding.update()
        this.#emitStatus()
      },
      remember: () => ({ ...sources.remember(), paused: this.state.paused })
    }
  }

  #onOpen(content: Content, isFirstRun: boolean): void {
    const { manager } = this.swarm
    // Decides now, so that peers that sent the metadata are not dropped and redialled.
    if (this.state.away && manager.peers.size > 0) this.host.decide()
    if (this.state.stopped) this.follow()
    else this.limitsChanged()
    this.swarm.begin(content)
    this.#emit('metadata')
    // Empty files have no pieces, so no stored piece reports them.
    if (isFirstRun) for (const file of content.files.empty) this.#emit('file', file)
    this.#onChanged()
    this.changed()
    manager.setDialling(!this.state.stopped)
  }

  /** Emits `status` if it has changed. */
  #emitStatus(): void {
    const { status } = this
    if (status === this.#emittedStatus) return
    this.#emittedStatus = status
    this.#emit('status', status)
  }

  #onChanged(): void {
    const content = this.data.opened
    if (content === undefined) return
    // Before listeners of the status are called, because they may close the torrent.
    const isNews = this.completion.update(content.done)
    this.#emitStatus()
    this.seeding.update()
    this.swarm.handshakes.update()
    if (content.complete) this.seeding.tellComplete()
    if (!isNews) return
    if (!content.done) this.#wantAgain()
    else {
      this.changed()
      this.#emit('done')
    }
  }

  /** Continues a finished torrent, and dials again peers that had no wanted pieces: other bytes may be wanted now. */
  #wantAgain(): void {
    if (this.state.unfinish()) this.follow()
    this.swarm.redial()
  }

  /** Runs a queued or finished torrent while a stream needs missing bytes. */
  #onReading(): void {
    if (!this.state.away || this.data.content?.table.counts.complete === true) return
    this.state.unfinish()
    this.follow()
  }

  #warn(warning: Error): void {
    // After storage has failed, saving the resume record often fails with the same message, which was already emitted as `error`.
    if (this.state.error?.message !== warning.message) this.#emit('warning', warning)
  }

  #fail(error: Error): void {
    if (!this.state.fail(error)) return
    this.data.content?.suspend(error)
    this.seeding.countTime()
    this.completion.fail(error)
    this.#emitStatus()
    if (!this.#emit('error', error)) this.#owner.failed(error)
  }

  async #close(removing: boolean, end: (content: Content) => Promise<void>): Promise<void> {
    this.state.close()
    this.completion.fail(closedError())
    this.#opening.fail(closedError())
    // A verified piece that is not written yet does not count as missing, so the torrent may be complete.
    if (this.data.opened?.table.counts.left === 0) this.seeding.tellComplete()
    const goodbyes = this.swarm.close()
    try {
      if (this.data.content !== undefined) await end(this.data.content)
      else if (removing) await this.#resumeFile?.remove()
      else await this.#resumeFile?.stop()
    } catch (thrown) {
      this.#emit('warning', asError(thrown))
    }
    await goodbyes
    this.#emitStatus()
    this.#owner.closed()
    this.#emit('close')
  }
}
