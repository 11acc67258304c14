import { EventEmitter } from 'node:events'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { DHT } from '../dht/dht.ts'
import { ConnectionBudget } from '../discovery/connection-budget.ts'
import { Lsd } from '../discovery/lsd.ts'
import { OwnAddress } from '../discovery/own-address.ts'
import { HashPool } from '../hash/hash-pool.ts'
import type { CreateOptions } from '../metainfo/create-torrent.ts'
import { parseTorrent } from '../metainfo/parse-torrent.ts'
import { StorageClaims } from '../storage/storage-claims.ts'
import { Torrent } from '../torrent/torrent.ts'
import type { TorrentInit } from '../torrent/torrent-init.ts'
import type { AddOptions } from '../torrent/torrent-options.ts'
import { AnnouncePace } from '../tracker/announce-pace.ts'
import { UdpTrackerClient } from '../tracker/udp-tracker-client.ts'
import { TcpTransport } from '../transport/tcp.ts'
import { Throttle } from '../transport/throttle.ts'
import { ThrottledConnection } from '../transport/throttled.ts'
import type { Listener } from '../transport/transport.ts'
import { toHex } from '../util/bytes.ts'
import { abortable } from '../util/concurrency.ts'
import type { DatagramPort } from '../util/datagram-port.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { MemoryBudget } from '../util/memory-budget.ts'
import { ClientHost, type ClientServices } from './client-host.ts'
import { DhtService } from './dht-service.ts'
import { Greeter } from './greeter.ts'
import {
  type ClientOptions,
  checkAddOptions,
  checkCount,
  checkGoal,
  checkLimit,
  checkOptions
} from './options.ts'
import { makePeerId } from './peer-id.ts'
import { adjust, placeOf, Restoration, reopens } from './restoration.ts'
import { Session } from './session.ts'
import { type ResolvedSource, resolveSource, type TorrentSource } from './source.ts'
import { TorrentQueue } from './torrent-queue.ts'
import { bindUdpPorts } from './udp-ports.ts'

const defaultMemoryLimit = 48 << 20
/** Of folders that the user did not choose. */
const privateMode = 0o700

/** The events of a {@link Client}. */
export interface ClientEvents {
  /** A torrent was added; its files may not be known yet. */
  torrent: [torrent: Torrent]
  /** Something failed that the client survives, such as a port that is taken. */
  warning: [warning: Error]
  /** An error of a torrent that has no listener of its own. Without a listener here it becomes a process warning. */
  error: [error: Error, torrent?: Torrent]
}

/** Options of `client.seed`: those of the torrent to make, and those of adding it that make sense for data that lies where it is. */
export interface SeedOptions
  extends CreateOptions,
    Omit<AddOptions, 'trackers' | 'signal' | 'storage' | 'select' | 'path' | 'verify'> {}

/** Torrents that share a port, a peer id and limits. */
export class Client extends EventEmitter<ClientEvents> {
  readonly #options: ClientOptions
  readonly #torrents = new Map<string, Torrent>()
  readonly #transport = new TcpTransport()
  readonly #download: Throttle
  readonly #upload: Throttle
  readonly #peerId: Uint8Array
  readonly #hashPool = new HashPool()
  readonly #udpTrackers = new UdpTrackerClient()
  readonly #own = new OwnAddress(() => this.port)
  readonly #lsd: Lsd | undefined
  readonly #dht: DhtService | undefined
  readonly #claims = new StorageClaims()
  readonly #budget: MemoryBudget
  readonly #connections: ConnectionBudget
  readonly #listening: Promise<void>
  readonly #services: ClientServices
  readonly #queue: TorrentQueue
  readonly #session: Session | undefined
  readonly #restoration: Restoration | undefined
  /** Torrents that a restart does not bring back: their storage is the caller's, or they are being removed. */
  readonly #fleeting = new WeakSet<Torrent>()
  readonly #greeter: Greeter
  /** How many callers wait for the files of a torrent. */
  readonly #waiting = new Map<Torrent, number>()
  #listener: Listener | undefined
  #udpPorts: readonly DatagramPort[] = []
  #closing: Promise<void> | undefined

  /**
   * A client that listens at once.
   * @throws TorrentError ERR_CLIENT_OPTION or ERR_CLIENT_UNSUPPORTED naming the option that is refused.
   */
  constructor(options: ClientOptions = {}) {
    super()
    checkOptions(options)
    this.#options = options
    this.#download = new Throttle(options.downloadLimit ?? Number.POSITIVE_INFINITY)
    this.#upload = new Throttle(options.uploadLimit ?? Number.POSITIVE_INFINITY)
    this.#budget = new MemoryBudget(options.memoryLimit ?? defaultMemoryLimit)
    this.#connections = new ConnectionBudget(
      options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }
    )
    this.#peerId = makePeerId()
    this.#greeter = new Greeter(this.#peerId, (infoHash) => this.#torrents.get(infoHash))
    const never = Number.POSITIVE_INFINITY
    const {
      maxActiveDownloads = never,
      maxActiveSeeds = never,
      seedRatio = never,
      seedTime = never
    } = options
    this.#queue = new TorrentQueue(
      { maxActiveDownloads, maxActiveSeeds, seedRatio, seedTime },
      () => this.torrents
    )
    if (options.lsd !== false) {
      const onWarning = (warning: Error): boolean => this.emit('warning', warning)
      this.#lsd = new Lsd({ port: () => this.port, host: options.host, onWarning })
    }
    const listening = this.#listen()
    const bound = options.dht === false ? undefined : listening.then(() => this.#bindUdp())
    this.#dht = bound === undefined ? undefined : this.#makeDht(bound)
    this.#listening = bound === undefined ? listening : bound.then(() => {})
    this.#services = {
      peerId: this.#peerId,
      budget: this.#budget,
      connections: this.#connections,
      claims: this.#claims,
      hashPool: this.#hashPool,
      udpTrackers: this.#udpTrackers,
      announcePace: new AnnouncePace(),
      own: this.#own,
      pex: options.pex !== false,
      lsd: this.#lsd,
      dht: this.#dht,
      transport: this.#transport,
      download: this.#download,
      upload: this.#upload,
      localAddress: options.host,
      port: () => this.port,
      serving: () => this.#serving(),
      changed: () => {
        this.#queue.changed()
        this.#session?.touch()
      }
    }
    if (options.state === undefined || options.restore === false) return
    const state = path.resolve(options.state)
    const warning = (error: Error): boolean => this.emit('warning', error)
    this.#session = new Session(state, { torrents: () => this.#lasting, warning })
    this.#restoration = new Restoration(this.#session, state, {
      enter: (init) => this.#enter(init),
      ready: (torrent) => this.#ready(torrent, undefined),
      listening: this.#listening,
      warning
    })
  }

  /** All torrents in the order of the queue, those whose files are not known yet included. */
  get torrents(): readonly Torrent[] {
    return [...this.#torrents.values()]
  }

  /** Payload bytes per second of all torrents. */
  get downloadSpeed(): number {
    return this.torrents.reduce((sum, { downloadSpeed }) => sum + downloadSpeed, 0)
  }

  /** Payload bytes per second of all torrents. */
  get uploadSpeed(): number {
    return this.torrents.reduce((sum, { uploadSpeed }) => sum + uploadSpeed, 0)
  }

  /** The TCP port that peers reach us on; 0 until it is listened on. */
  get port(): number {
    return this.#listener?.port ?? 0
  }

  /** The DHT node of all torrents, for how many nodes it knows and for look-ups of one's own; undefined when it is switched off. */
  get dht(): DHT | undefined {
    return this.#dht?.dht
  }

  /** Bytes per second that all torrents may receive; may be changed at any time. */
  get downloadLimit(): number {
    return this.#download.rate
  }

  set downloadLimit(bytesPerSecond: number) {
    checkLimit('downloadLimit', bytesPerSecond)
    this.#download.rate = bytesPerSecond
    for (const torrent of this.#torrents.values()) torrent.limitsChanged()
  }

  /** Bytes per second that all torrents may send; may be changed at any time. */
  get uploadLimit(): number {
    return this.#upload.rate
  }

  set uploadLimit(bytesPerSecond: number) {
    checkLimit('uploadLimit', bytesPerSecond)
    this.#upload.rate = bytesPerSecond
    for (const torrent of this.#torrents.values()) torrent.limitsChanged()
  }

  /** Torrents that download at the same time; may be changed at any time. */
  get maxActiveDownloads(): number {
    return this.#queue.rules.maxActiveDownloads
  }

  set maxActiveDownloads(count: number) {
    checkCount('maxActiveDownloads', count)
    this.#queue.rules.maxActiveDownloads = count
    this.#queue.changed()
  }

  /** Torrents that seed at the same time; may be changed at any time. */
  get maxActiveSeeds(): number {
    return this.#queue.rules.maxActiveSeeds
  }

  set maxActiveSeeds(count: number) {
    checkCount('maxActiveSeeds', count)
    this.#queue.rules.maxActiveSeeds = count
    this.#queue.changed()
  }

  /** The ratio after which torrents stop as `finished` that have none of their own; may be changed at any time. */
  get seedRatio(): number {
    return this.#queue.rules.seedRatio
  }

  set seedRatio(ratio: number) {
    checkGoal('seedRatio', ratio)
    this.#queue.rules.seedRatio = ratio
    this.#queue.changed()
  }

  /** Milliseconds as a seed after which torrents stop as `finished` that have none of their own; may be changed at any time. */
  get seedTime(): number {
    return this.#queue.rules.seedTime
  }

  set seedTime(milliseconds: number) {
    checkGoal('seedTime', milliseconds)
    this.#queue.rules.seedTime = milliseconds
    this.#queue.changed()
  }

  /**
   * Adds a torrent and resolves as soon as its files are known; never waits for a full hash check. A torrent that is here already is
   * returned, with the peers and trackers given merged into it.
   * @throws TorrentError when the source or an option makes no sense, or the storage cannot be opened; the signal's reason.
   */
  async add(source: TorrentSource, options: AddOptions = {}): Promise<Torrent> {
    this.#checkOpen()
    options.signal?.throwIfAborted()
    checkAddOptions(options)
    const resolved = await resolveSource(source, options.signal)
    return this.#begin(resolved, options, {})
  }

  /**
   * Makes a torrent of files and folders, hashing on all cores, and seeds it from where they are. With a `state` folder, files that
   * are as they were (path, size, time) when they were last seeded in the same way are not hashed again.
   * @throws TorrentError ERR_METAINFO_CREATE when there is nothing to share or a file cannot be read; the signal's reason.
   */
  async seed(paths: string | readonly string[], options: SeedOptions = {}): Promise<Torrent> {
    this.#checkOpen()
    checkAddOptions(options)
    // Loaded when first needed, for most programs only download.
    const { makeOrFind, scanFiles } = await import('./make-torrent.ts')
    const scan = await scanFiles(paths, options)
    const metainfo = parseTorrent(
      await makeOrFind(scan, options, this.#options.state, (error) => this.emit('warning', error))
    )
    const { peers, paused, downloadLimit, uploadLimit, superSeeding, seedRatio, seedTime } = options
    return this.#begin(
      {
        infoHashes: metainfo.infoHashes,
        metainfo,
        name: metainfo.name,
        trackers: metainfo.announce,
        peers: []
      },
      {
        peers,
        paused,
        downloadLimit,
        uploadLimit,
        superSeeding,
        seedRatio,
        seedTime,
        path: scan.root ?? path.dirname(scan.files[0]?.diskPath ?? '.')
      },
      // Where they are and not by the paths of the torrent, which are made safe for every system.
      { complete: true, filePaths: scan.files.map(({ diskPath }) => diskPath) }
    )
  }

  /** The torrent with this info hash (hexadecimal or 20 bytes), if it is here. */
  get(infoHash: string | Uint8Array): Torrent | undefined {
    return this.#torrents.get(typeof infoHash === 'string' ? infoHash.toLowerCase() : toHex(infoHash))
  }

  /**
   * Removes a torrent (itself or its info hash) and its resume record; with `deleteFiles` also the data that it wrote.
   * Nothing happens when it is not here.
   */
  async remove(
    torrent: Torrent | string,
    { deleteFiles = false }: { readonly deleteFiles?: boolean } = {}
  ): Promise<void> {
    await this.#restoration?.listed
    const found = typeof torrent === 'string' ? this.get(torrent) : torrent
    if (typeof torrent === 'string' && found === undefined) this.#session?.takeBack(torrent.toLowerCase())
    if (found === undefined || this.#torrents.get(found.infoHash) !== found) return
    // Taken from the list before anything is deleted, or a crash between the two would have it fetched anew.
    this.#fleeting.add(found)
    await this.#session?.flush()
    await found.remove(deleteFiles)
    this.#torrents.delete(found.infoHash)
  }

  /**
   * Resolves with the torrents that an earlier run has left in the state folder, once each is open or is known to be in want of
   * its metadata; they are in `torrents`, and were emitted as `torrent`, before any `add` goes on. Without a `state`, and when another
   * client uses the folder (see `warning`), there are none. Those that cannot be opened give a `warning` and stay for the next run.
   */
  async restored(): Promise<readonly Torrent[]> {
    await this.#restoration?.listed
    return (await this.#restoration?.torrents()) ?? []
  }

  /** Moves a torrent to another place in the queue; 0 is the first, and what is beyond the last is the last. */
  move(torrent: Torrent, index: number): void {
    if (this.#torrents.get(torrent.infoHash) !== torrent) return
    const order = this.torrents.filter((other) => other !== torrent)
    order.splice(Math.max(0, Math.trunc(index)), 0, torrent)
    this.#torrents.clear()
    for (const one of order) this.#torrents.set(one.infoHash, one)
    this.#services.changed()
  }

  /** Saves and closes all torrents and everything else; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #begin(
    resolved: ResolvedSource,
    options: AddOptions,
    extra: { readonly complete?: boolean; readonly filePaths?: readonly string[] }
  ): Promise<Torrent> {
    await Promise.all([this.#listening, this.#restoration?.listed])
    this.#checkOpen()
    const { infoHashes, metainfo } = resolved
    const infoHash = toHex(infoHashes.v1 ?? new Uint8Array(20))
    let known = this.#torrents.get(infoHash)
    while (known?.status === 'closed') {
      // Its files and its record are its own until it has ended.
      await abortable(known.close(), options.signal)
      this.#checkOpen()
      known = this.#torrents.get(infoHash)
    }
    let memo = this.#session?.takeBack(infoHash)
    const claimed = known !== undefined && this.#restoration?.claims(known) === true
    if (known !== undefined && claimed && reopens(known, options)) {
      memo = known.memo()
      await abortable(known.close(), options.signal)
      this.#checkOpen()
      known = this.#torrents.get(infoHash)
    }
    if (known !== undefined) {
      known.addPeers([...resolved.peers, ...(options.peers ?? [])])
      known.addTrackers([...resolved.trackers, ...(options.trackers ?? [])])
      if (metainfo !== undefined) await known.learn(metainfo)
      await this.#ready(known, options.signal)
      if (claimed) adjust(known, options)
      return known
    }
    const folder = path.resolve(
      options.path ?? memo?.path ?? this.#options.path ?? path.join(tmpdir(), 'piecewise', infoHash)
    )
    const isDefault = options.path === undefined && memo === undefined && this.#options.path === undefined
    // A custom storage and files that are seeded where they are get no record unless a folder for it is named.
    const beside =
      options.storage === undefined && extra.complete !== true ? path.join(folder, '.piecewise') : undefined
    const torrent = this.#enter({
      ...options,
      ...(options.path === undefined ? placeOf(memo) : {}),
      ...extra,
      infoHashes,
      name: resolved.name,
      announce: resolved.trackers,
      peers: [...resolved.peers, ...(options.peers ?? [])],
      select: options.select ?? resolved.select,
      path: folder,
      ...(isDefault ? { folderMode: privateMode } : {}),
      memo,
      state: this.#options.state ?? beside
    })
    try {
      await torrent.start(metainfo)
    } catch (thrown) {
      await torrent.close()
      if (memo !== undefined) this.#session?.setAside(memo)
      throw thrown
    }
    await this.#ready(torrent, options.signal)
    return torrent
  }

  /** Makes a torrent and enters it in the list. */
  #enter(init: TorrentInit): Torrent {
    const torrent = new Torrent(new ClientHost(this.#services), init, this.#onTorrentError)
    this.#torrents.set(torrent.infoHash, torrent)
    if (init.storage !== undefined) this.#fleeting.add(torrent)
    torrent.once('close', this.#onTorrentClose)
    this.#queue.admit(torrent)
    try {
      this.emit('torrent', torrent)
    } catch (thrown) {
      // The fault of a listener must not leave a torrent that is listed and never begins.
      process.emitWarning(asError(thrown))
    }
    this.#services.changed()
    return torrent
  }

  /** How many torrents have somebody to serve. */
  #serving(): number {
    let count = 0
    for (const { serves } of this.#torrents.values()) if (serves) count++
    return count
  }

  /** What a restart brings back. */
  get #lasting(): Torrent[] {
    return this.torrents.filter((torrent) => !this.#fleeting.has(torrent))
  }

  /** Waits for the files; a torrent whose files nobody waits for any more goes. */
  async #ready(torrent: Torrent, signal: AbortSignal | undefined): Promise<void> {
    this.#waiting.set(torrent, (this.#waiting.get(torrent) ?? 0) + 1)
    try {
      await torrent.ready(signal)
    } catch (thrown) {
      if (this.#waiting.get(torrent) === 1 && torrent.files.length === 0) await torrent.close()
      throw thrown
    } finally {
      const waiting = (this.#waiting.get(torrent) ?? 1) - 1
      if (waiting > 0) this.#waiting.set(torrent, waiting)
      else this.#waiting.delete(torrent)
    }
  }

  /** The UDP ports that all protocols share, with the number of the TCP port if it is free; none when that fails. */
  async #bindUdp(): Promise<readonly DatagramPort[]> {
    const onWarning = (warning: Error): void => void this.emit('warning', warning)
    try {
      this.#udpPorts = await bindUdpPorts({ host: this.#options.host, port: this.port, onWarning })
      this.#udpTrackers.share(this.#udpPorts)
    } catch (thrown) {
      // Without TCP that was said already.
      if (this.#listener !== undefined) onWarning(asError(thrown))
    }
    return this.#udpPorts
  }

  #makeDht(ports: Promise<readonly DatagramPort[]>): DhtService {
    const { dht, host, state } = this.#options
    return new DhtService({
      ...(typeof dht === 'object' ? dht : {}),
      ports,
      host,
      stateFolder: state,
      tcpPort: () => this.port,
      onWarning: (warning) => this.emit('warning', warning)
    })
  }

  async #listen(): Promise<void> {
    try {
      this.#listener = await this.#transport.listen({
        port: this.#options.port ?? 0,
        ...(this.#options.host === undefined ? {} : { host: this.#options.host }),
        onConnection: (connection) =>
          this.#greeter.greet(
            new ThrottledConnection(connection, { download: this.#download, upload: this.#upload })
          ),
        onWarning: (warning) => this.emit('warning', warning)
      })
    } catch (thrown) {
      // Without a port we are not reached, but reach others all the same.
      this.emit('warning', asError(thrown))
    }
  }

  readonly #onTorrentError = (error: Error, torrent: Torrent): void => {
    if (this.listenerCount('error') > 0) this.emit('error', error, torrent)
    else process.emitWarning(error)
  }

  readonly #onTorrentClose = (torrent: Torrent): void => {
    if (this.#torrents.get(torrent.infoHash) !== torrent) return
    this.#torrents.delete(torrent.infoHash)
    this.#services.changed()
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new TorrentError('ERR_CLIENT_CLOSED', 'the client is closed')
  }

  async #close(): Promise<void> {
    this.#queue.close()
    this.#restoration?.close()
    await Promise.all([this.#listening, this.#restoration?.listed])
    const lasting = this.#lasting
    await this.#session?.stop()
    const unlistened = this.#listener?.close()
    this.#greeter.close()
    await Promise.all(this.torrents.map((torrent) => torrent.close()))
    await this.#session?.close(lasting)
    await this.#transport.close()
    await unlistened
    await this.#lsd?.close()
    await this.#dht?.close()
    await this.#udpTrackers.close()
    await Promise.all(this.#udpPorts.map((port) => port.close()))
    await this.#hashPool.close()
  }
}
