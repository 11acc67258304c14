import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import path from 'node:path'
import type { DHT } from '../dht/dht.ts'
import { parseTorrent } from '../metainfo/parse-torrent.ts'
import type { NatStatus } from '../nat/nat-status.ts'
import type { TorrentSnapshot } from '../torrent/snapshots.ts'
import type { Torrent } from '../torrent/torrent.ts'
import type { AddOptions } from '../torrent/torrent-options.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import { isBytes, toHex } from '../util/bytes.ts'
import { TorrentError, warnProcess } from '../util/errors.ts'
import { inspectAs } from '../util/inspect-as.ts'
import { checkNoMore, checkOptionNames, checkType } from '../util/options.ts'
import { show } from '../util/show.ts'
import { yieldToEventLoop } from '../util/slices.ts'
import { emitSafely } from '../util/user-code.ts'
import { checkAddOptions, checkSeedOptions, type SeedOptions } from './add-options.ts'
import { DefaultFolders } from './default-folders.ts'
import { type ClientOptions, checkCount, checkLimit, checkOptions, refusal } from './options.ts'
import type { TorrentSource } from './read-source.ts'
import { Registry } from './registry.ts'
import type { SeedData } from './seed-data.ts'
import { SharedServices } from './shared-services.ts'
import { resolveSource } from './source.ts'
import { StateFolder } from './state-folder.ts'
import { TorrentAdder } from './torrent-adder.ts'
import { TorrentQueue } from './torrent-queue.ts'

/** The events of a {@link Client}. */
export interface ClientEvents {
  /** A torrent was added or restored. Its files may not be known yet. */
  torrent: [torrent: Torrent]
  /** A fault that the client survives, such as a port that is taken. */
  warning: [warning: Error]
  /** An error of a torrent that has no `error` listener. Without a listener here it becomes a process warning. */
  error: [error: Error, torrent?: Torrent]
}

/** Plain data of a {@link Client} for `JSON.stringify`; the members mean the same as on the client. */
export interface ClientSnapshot
  extends Pick<Client, 'port' | 'natStatus' | 'statePath' | 'downloadSpeed' | 'uploadSpeed' | 'progress'> {
  /** All torrents, in queue order. */
  readonly torrents: readonly TorrentSnapshot[]
}

/** A BitTorrent client: its torrents share a port, a peer id, rate limits and memory. */
export class Client extends EventEmitter<ClientEvents> {
  readonly #options: ClientOptions
  readonly #registry: Registry
  readonly #services: SharedServices
  readonly #queue: TorrentQueue
  /** Undefined without a state folder. */
  readonly #stateFolder: StateFolder | undefined
  readonly #adder: TorrentAdder
  readonly #defaults: DefaultFolders
  #closing: Promise<void> | undefined

  /**
   * Starts to listen at once.
   * @throws TorrentError ERR_CLIENT_OPTION for an invalid option; ERR_CLIENT_UNSUPPORTED for one that is not built yet.
   */
  constructor(options?: ClientOptions)
  constructor(given: ClientOptions = {}, ...more: unknown[]) {
    super()
    checkOptions(given, more)
    // The program may change its working directory later.
    const options = given.state === undefined ? given : { ...given, state: path.resolve(given.state) }
    this.#options = options
    this.#services = new SharedServices(options, this.#warn)
    this.#registry = new Registry({
      services: this.#services,
      onEntered: (session) => this.#onEntered(session),
      onError: this.#onTorrentError
    })
    this.#queue = new TorrentQueue(options, this.#registry)
    const { listening } = this.#services
    const defaults = new DefaultFolders({ onWarning: this.#warn })
    this.#defaults = defaults
    if (options.state !== undefined && options.restore !== false) {
      this.#stateFolder = new StateFolder(options.state, {
        path: options.path,
        key: this.#services.recordKey,
        registry: this.#registry,
        defaults,
        listening,
        warning: this.#warn
      })
    }
    this.#adder = new TorrentAdder({
      registry: this.#registry,
      stateFolder: this.#stateFolder,
      listening,
      folders: options,
      defaults,
      checkOpen: () => this.#checkOpen(),
      onWarning: this.#warn
    })
    this.#services.setEvents({
      find: (infoHash) => this.#registry.get(infoHash)?.swarm,
      findNamed: (name) => this.#registry.findNamed(name),
      changed: () => {
        this.#queue.changed()
        this.#stateFolder?.list?.touch()
      },
      announce: () => {
        for (const { swarm } of this.#registry.all) swarm.sources.trackers.announceNow()
      },
      decide: () => this.#queue.decide()
    })
  }

  /** All torrents in queue order, including torrents whose files are not known yet. */
  get torrents(): readonly Torrent[] {
    return this.#registry.torrents
  }

  /** Payload bytes per second that all torrents together receive. */
  get downloadSpeed(): number {
    return this.torrents.reduce((sum, { downloadSpeed }) => sum + downloadSpeed, 0)
  }

  /** Payload bytes per second that all torrents together send. */
  get uploadSpeed(): number {
    return this.torrents.reduce((sum, { uploadSpeed }) => sum + uploadSpeed, 0)
  }

  /** Verified share of the selected bytes of all torrents, 0 to 1; 0 while nothing is selected. */
  get progress(): number {
    const counts = this.#registry.all.flatMap(({ data }) => data.opened?.table.counts ?? [])
    const length = counts.reduce((sum, { selectedLength }) => sum + selectedLength, 0)
    const left = counts.reduce((sum, { selectedLeft }) => sum + selectedLeft, 0)
    return length === 0 ? 0 : (length - left) / length
  }

  /** The TCP port that the client listens on; 0 before it listens. */
  get port(): number {
    return this.#services.network.port
  }

  /** Whether the router forwards the port, with the option `natTraversal`. */
  get natStatus(): NatStatus {
    return this.#services.nat?.status ?? { state: 'off' }
  }

  /** Absolute path of the state folder; undefined without the option `state`. */
  get statePath(): string | undefined {
    return this.#options.state
  }

  /** The DHT node that all torrents share; undefined with the option `dht: false`. */
  get dht(): DHT | undefined {
    return this.#services.dht?.dht
  }

  /** Bytes per second that all torrents together may receive. Can change at any time. */
  get downloadLimit(): number {
    return this.#services.download.rate
  }

  set downloadLimit(bytesPerSecond: number) {
    checkLimit('downloadLimit', bytesPerSecond ?? Number.NaN)
    this.#services.download.rate = bytesPerSecond
    this.#registry.limitsChanged()
  }

  /** Bytes per second that all torrents together may send. Can change at any time. */
  get uploadLimit(): number {
    return this.#services.upload.rate
  }

  set uploadLimit(bytesPerSecond: number) {
    checkLimit('uploadLimit', bytesPerSecond ?? Number.NaN)
    this.#services.upload.rate = bytesPerSecond
    this.#registry.limitsChanged()
  }

  /** Maximum number of torrents that download at the same time. Can change at any time. */
  get maxActiveDownloads(): number {
    return this.#queue.rules.maxActiveDownloads
  }

  set maxActiveDownloads(count: number) {
    this.#queue.setRule('maxActiveDownloads', count)
  }

  /** Maximum number of torrents that seed at the same time. Can change at any time. */
  get maxActiveSeeds(): number {
    return this.#queue.rules.maxActiveSeeds
  }

  set maxActiveSeeds(count: number) {
    this.#queue.setRule('maxActiveSeeds', count)
  }

  /** Ratio at which torrents without a `seedRatio` of their own stop as `finished`. Can change at any time. */
  get seedRatio(): number {
    return this.#queue.rules.seedRatio
  }

  set seedRatio(ratio: number) {
    this.#queue.setRule('seedRatio', ratio)
  }

  /** Milliseconds of seeding after which torrents without a `seedTime` of their own stop as `finished`. Can change at any time. */
  get seedTime(): number {
    return this.#queue.rules.seedTime
  }

  set seedTime(milliseconds: number) {
    this.#queue.setRule('seedTime', milliseconds)
  }

  /**
   * Adds a torrent. Resolves once its files are known; never waits for a full hash check. Adding a torrent twice returns the same
   * object and merges the given peers and trackers into it.
   * @throws TorrentError if the source or an option is invalid, or the storage cannot be opened; the signal's reason.
   */
  async add(source: TorrentSource, options?: AddOptions): Promise<Torrent>
  async add(source: TorrentSource, options: AddOptions = {}, ...more: unknown[]): Promise<Torrent> {
    this.#checkOpen()
    checkAddOptions(options, more)
    options.signal?.throwIfAborted()
    const { signal, trust } = options
    const resolved = await resolveSource(this.#services.network, source, { signal, trust })
    if (resolved.ignored !== undefined) this.#warn(resolved.ignored)
    return this.#adder.begin(resolved, options)
  }

  /**
   * Creates a torrent from files and folders, hashing on all cores, and seeds them in place. With a `state` folder, files are not
   * hashed again if path, size and time are unchanged since they were last seeded with the same options. Bytes and streams are first
   * written to the file `name` in the folder `path`; default: the client's `path`, or else a new private folder.
   * @throws TorrentError ERR_METAINFO_CREATE if there is nothing to share or a file cannot be read; the signal's reason.
   */
  async seed(source: string | readonly string[] | SeedData, options?: SeedOptions): Promise<Torrent>
  async seed(
    source: string | readonly string[] | SeedData,
    options: SeedOptions = {},
    ...more: unknown[]
  ): Promise<Torrent> {
    this.#checkOpen()
    checkSeedOptions(source, options, more)
    // Loaded on first use: most programs only download.
    const { makeTorrent } = await import('./make-torrent.ts')
    const { state } = this.#options
    const made = await makeTorrent(source, options, {
      state,
      // These folders must not become part of a torrent. They contain peers, passkeys and the key that signs resume records.
      apart: [state, this.#services.recordKey.folder].filter((folder) => folder !== undefined),
      folder: async () => this.#options.path ?? (await this.#defaults.find(toHex(randomBytes(20)))),
      onWarning: this.#warn
    })
    const metainfo = parseTorrent(made.bytes)
    const { peers, paused, downloadLimit, uploadLimit, superSeeding, seedRatio, seedTime } = options
    return this.#adder.begin(
      {
        infoHashes: metainfo.infoHashes,
        metainfo,
        name: metainfo.name,
        trackers: metainfo.announce,
        peers: []
      },
      {
        peers,
        // Passed as options too, because only trackers that the program names may have local addresses.
        trackers: metainfo.announce,
        paused,
        downloadLimit,
        uploadLimit,
        superSeeding,
        seedRatio,
        seedTime,
        path: made.path
      },
      // The real paths can differ from the torrent's paths, which are sanitized.
      { complete: true, filePaths: made.filePaths }
    )
  }

  /** Returns the torrent with this info hash (hexadecimal or 20 bytes), or undefined. */
  get(infoHash: string | Uint8Array): Torrent | undefined {
    if (typeof infoHash !== 'string' && !isBytes(infoHash))
      throw refusal('infoHash', `${show(infoHash)} must be hexadecimal text or bytes`)
    const session = this.#registry.get(infoHash)
    return session && this.#registry.torrentOf(session)
  }

  /**
   * Removes a torrent (or the one with this info hash) and its resume record; with `deleteFiles` also the data that it wrote.
   * Does nothing if the client does not have the torrent.
   */
  async remove(torrent: Torrent | string, options?: { readonly deleteFiles?: boolean }): Promise<void>
  async remove(
    torrent: Torrent | string,
    options: { readonly deleteFiles?: boolean } = {},
    ...more: unknown[]
  ): Promise<void> {
    checkOptionNames(options, ['deleteFiles'], refusal)
    checkNoMore(more, refusal)
    const { deleteFiles = false } = options
    checkType('deleteFiles', deleteFiles, 'boolean', refusal)
    checkTorrent(torrent)
    await this.#stateFolder?.listed
    const found =
      typeof torrent === 'string' ? this.#registry.get(torrent) : this.#registry.sessionOf(torrent)
    if (typeof torrent === 'string' && found === undefined)
      this.#stateFolder?.list?.removeSetAside(torrent.toLowerCase())
    if (found === undefined) return
    await this.#registry.remove(found, deleteFiles, async () => this.#stateFolder?.list?.flush())
  }

  /**
   * Resolves with the torrents of earlier runs in the state folder, once each is open or waits for its metadata. Torrents that were passed
   * to `add` or closed meanwhile are not in the list. Restored torrents are emitted as `torrent` before any `add` resolves. A torrent that
   * cannot be opened causes a `warning` and is tried again in the next run. Resolves with an empty list without a `state`, or if another
   * client uses the folder (with a `warning`).
   */
  async restored(): Promise<readonly Torrent[]> {
    const sessions = (await this.#stateFolder?.restored()) ?? []
    return sessions.map((session) => this.#registry.torrentOf(session))
  }

  /**
   * Moves a torrent to another position in the queue. Position 0 is the first; an index beyond the last position means the last.
   * @throws TorrentError ERR_CLIENT_OPTION unless the index is a whole number of at least 0, or Infinity.
   */
  move(torrent: Torrent, index: number): void {
    checkTorrent(torrent)
    checkCount('index', index ?? Number.NaN)
    const session = this.#registry.sessionOf(torrent)
    if (session === undefined) return
    this.#registry.move(session, index)
    this.#services.changed()
  }

  /** Returns the client and its torrents as plain data, for `JSON.stringify`, logs and pages. */
  toJSON(): ClientSnapshot {
    const { port, natStatus, statePath, downloadSpeed, uploadSpeed, progress } = this
    const torrents = this.torrents.map((torrent) => torrent.toJSON())
    return { port, natStatus, statePath, downloadSpeed, uploadSpeed, progress, torrents }
  }

  /** Saves and closes all torrents, then closes all ports and timers. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #onEntered(session: TorrentSession): void {
    this.#queue.admit(session)
    emitSafely(this, 'torrent', [this.#registry.torrentOf(session)])
    this.#services.changed()
  }

  readonly #warn = (warning: Error): void => {
    emitSafely(this, 'warning', [warning])
  }

  readonly #onTorrentError = (error: Error, torrent: Torrent): void => {
    if (this.listenerCount('error') > 0) emitSafely(this, 'error', [error, torrent])
    else warnProcess(error)
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new TorrentError('ERR_CLIENT_CLOSED', 'the client is closed')
  }

  async #close(): Promise<void> {
    this.#queue.close()
    await Promise.all([this.#services.listening, this.#stateFolder?.endRestoring()])
    const { lasting } = this.#registry
    await this.#stateFolder?.list?.stop()
    const unlistened = this.#services.unlisten()
    this.#services.acceptor.close()
    await Promise.all(
      this.#registry.all.map(async (torrent) => {
        const pause = yieldToEventLoop()
        if (pause !== undefined) await pause
        await torrent.close()
      })
    )
    await this.#stateFolder?.list?.close(lasting)
    await this.#services.close(unlistened)
  }
}

inspectAs(Client, (client) => ({ ...client.toJSON(), torrents: client.torrents.length }))

function checkTorrent(torrent: unknown): void {
  const isTorrent = typeof torrent === 'object' && torrent !== null && 'infoHash' in torrent
  if (!isTorrent && typeof torrent !== 'string')
    throw refusal('torrent', `${show(torrent)} must be a torrent of this client, or its info hash`)
}
