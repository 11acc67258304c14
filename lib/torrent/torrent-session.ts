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

/** A torrent inside its client: owns its state, joins its parts, and does what client and user ask. */
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
  /** The status that the user has heard of. */
  #told: TorrentStatus
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
    this.#told = this.status
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
    // Before the first question to anybody: the metadata that would say so may be lost.
    if (init.saved?.private === true) this.swarm.makePrivate()
    this.limitsChanged()
    this.swarm.sources.trackers.trust(init.saved?.trustedTrackers ?? [])
    this.addPeers(init.peers ?? [], init.trust)
    this.addPeers(init.magnetPeers ?? [], 'remote')
  }

  /** Sets the listener that emits events to the user from now on. */
  listen(listener: SessionListener): void {
    this.#listener = listener
  }

  // ---- what it is and how far it is ----

  /** The trackers by tier, also before any of them is asked. */
  get trackerTiers(): readonly (readonly string[])[] {
    const { sources } = this.swarm
    return sources.started ? sources.trackers.tiers : this.#init.announce
  }

  /** The bytes of a .torrent file; undefined while the metadata is unknown. */
  get torrentFile(): Uint8Array | undefined {
    return this.metadata.torrentFile(this.trackerTiers)
  }

  /** State of the torrent. */
  get status(): TorrentStatus {
    return this.state.status(this.data.content)
  }

  /** Activity while nothing stops it; undefined until the files are known. */
  get activity(): Activity | undefined {
    return this.data.opened?.activity
  }

  /** Payload of this run and of earlier ones, with all uploads up to this moment. */
  get transfer(): Transfer {
    this.data.content?.uploads.count()
    return this.#transfer
  }

  /** Uploaded bytes for each byte downloaded. */
  get ratio(): number {
    return this.transfer.ratio(this.data.content?.layout.dataLength ?? 0)
  }

  /** Whether `seedRatio` and `seedTime` end it: not once the user has resumed it beyond them. */
  get hasGoal(): boolean {
    return !this.state.goalWaived
  }

  /** Whether a peer wants something of us. */
  get serves(): boolean {
    return this.data.content?.uploads.choker.wanted === true
  }

  /** The storage that the caller brought. */
  get storage(): Storage | undefined {
    return this.#init.storage
  }

  /** The data, for a caller that needs it. Throws while the metadata is unknown, and once the torrent is closed. */
  get opened(): Content {
    if (this.state.closed) throw closedError()
    const { opened } = this.data
    if (opened === undefined) throw metadataError()
    return opened
  }

  /** A snapshot of a peer. */
  peerInfo(peer: Peer, now: number): PeerInfo {
    const { content } = this.data
    return peer.info(now, content?.download.load(peer.id), content?.layout.pieceCount ?? 0)
  }

  /** Returns what a restart needs to know. */
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

  // ---- what the client does with it ----

  /** Begins to look for peers, and with the metadata if that is known. */
  async start(metainfo: Metainfo | undefined): Promise<void> {
    await this.#opening.start(metainfo)
    // Afterwards, so that trackers hear at once how much is left.
    this.swarm.sources.start(this.#init.announce)
    this.addTrackers(this.#init.trackers ?? [], this.#init.trust)
  }

  /** Takes metadata from another source: peers are not asked for it any more, and it may name ways into the DHT that theirs does not. */
  async learn(metainfo: Metainfo): Promise<void> {
    if (this.state.closed) return
    if (this.metadata.known) this.swarm.sources.addNodes(metainfo.nodes)
    else await this.#opening.open(metainfo)
  }

  /** Resolves when the files are known and the storage is open. */
  async ready(signal?: AbortSignal): Promise<void> {
    await this.#opening.ready(signal)
  }

  /** Holds it in the queue, without peers and trackers, or lets it go on. */
  hold(held: boolean): void {
    if (this.state.hold(held)) this.follow()
  }

  /** Ends it as a seed that has reached its goal. */
  finish(): void {
    if (this.state.finish()) this.follow()
  }

  /** Moves what limits, pauses and errors allow from now on. */
  limitsChanged(): void {
    this.limits.apply(this.state, this.host, this.data.content)
  }

  /** Lets files be overwritten that were there before the torrent. */
  allowOverwriting(): void {
    this.#overwrite = true
    this.data.content?.checks.allowOverwriting()
    this.changed()
  }

  /** Stops announcing, saves what is there, and closes everything; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close(false, (content) => content.close())
    return this.#closing
  }

  /** Closes, and removes the resume record and perhaps the data. */
  remove(deleteFiles: boolean): Promise<void> {
    this.#closing ??= this.#close(true, (content) => content.remove(deleteFiles))
    return this.#closing
  }

  // ---- what the user does with it ----

  /** Tries peers at once. */
  addPeers(addresses: readonly (string | PeerAddress)[], trust: Trust = 'program'): void {
    this.swarm.sources.addPeers(addresses, trust)
  }

  /** Announces to further trackers. */
  addTrackers(trackers: TrackerTiers, trust: Trust = 'program'): void {
    checkTrackers(trackers, trust)
    if (this.swarm.sources.addTrackers(trackers, trust)) this.changed()
  }

  /** Runs or stands still, as the state says now. */
  follow(): void {
    if (this.state.running) this.data.content?.recover()
    this.limitsChanged()
    this.swarm.update()
    this.seeding.countTime()
    this.changed()
    this.#tellStatus()
  }

  /** Tells the client of a change that outlives this run, or that decides which torrents run. */
  changed(): void {
    this.host.changed()
  }

  // ---- what happens to it ----

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
        this.#tellStatus()
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
    // Empty files consist of no piece, and are complete as soon as they are there.
    if (isFirstRun) for (const file of content.files.empty) this.#emit('file', file)
    this.#onChanged()
    this.changed()
    manager.setDialling(!this.state.stopped)
  }

  /** Tells the user of a status that is new. */
  #tellStatus(): void {
    const { status } = this
    if (status === this.#told) return
    this.#told = status
    this.#emit('status', status)
  }

  #onChanged(): void {
    const content = this.data.opened
    if (content === undefined) return
    this.#tellStatus()
    this.seeding.update()
    this.swarm.handshakes.update()
    if (content.complete) this.seeding.tellComplete()
    if (!this.completion.update(content.done)) return
    if (!content.done) this.#wantAgain()
    else {
      this.changed()
      this.#emit('done')
    }
  }

  /** Peers that had nothing for us may have something now. */
  #wantAgain(): void {
    if (this.state.unfinish()) this.follow()
    this.swarm.redial()
  }

  /** Fetches what a reader lacks, whatever the queue or the goal said. */
  #onReading(): void {
    if (!this.state.away || this.data.content?.table.counts.complete === true) return
    this.state.unfinish()
    this.follow()
  }

  #warn(warning: Error): void {
    // The fault that stopped the torrent is met again when it is saved.
    if (this.state.error?.message !== warning.message) this.#emit('warning', warning)
  }

  #fail(error: Error): void {
    if (!this.state.fail(error)) return
    this.data.content?.suspend(error)
    this.seeding.countTime()
    this.completion.fail(error)
    this.#tellStatus()
    if (!this.#emit('error', error)) this.#owner.failed(error)
  }

  async #close(removing: boolean, end: (content: Content) => Promise<void>): Promise<void> {
    this.state.close()
    this.completion.fail(closedError())
    this.#opening.fail(closedError())
    // Verified pieces that are still being written do not count as missing.
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
    this.#tellStatus()
    this.#owner.closed()
    this.#emit('close')
  }
}
