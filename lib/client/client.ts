import { EventEmitter } from 'node:events'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ConnectionBudget } from '../discovery/connection-budget.ts'
import { Lsd } from '../discovery/lsd.ts'
import { OwnAddress } from '../discovery/own-address.ts'
import { HashPool } from '../hash/hash-pool.ts'
import { type CreateOptions, createFromScan } from '../metainfo/create-torrent.ts'
import { parseTorrent } from '../metainfo/parse-torrent.ts'
import { scanFiles } from '../metainfo/scan-files.ts'
import { StorageClaims } from '../storage/storage-claims.ts'
import { Torrent } from '../torrent/torrent.ts'
import type { TorrentHost } from '../torrent/torrent-host.ts'
import type { AddOptions } from '../torrent/torrent-options.ts'
import { UdpTrackerClient } from '../tracker/udp-tracker-client.ts'
import { TcpTransport } from '../transport/tcp.ts'
import { Throttle } from '../transport/throttle.ts'
import { ThrottledConnection } from '../transport/throttled.ts'
import type { Listener } from '../transport/transport.ts'
import { join } from '../transport/wire-connection.ts'
import { equalBytes, fromText, randomBytes, toHex } from '../util/bytes.ts'
import { abortable } from '../util/concurrency.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { MemoryBudget } from '../util/memory-budget.ts'
import { version } from '../util/version.ts'
import { Wire } from '../wire/wire.ts'
import { type ClientOptions, checkLimit, checkOptions } from './options.ts'
import { type ResolvedSource, resolveSource, type TorrentSource } from './source.ts'

/** How long a peer that dialled us may take for its handshake. */
const handshakeMs = 10_000
/** Incoming connections whose handshake has not come yet; more are a flood. */
const mostStrangers = 64
const defaultMemoryLimit = 48 << 20

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
  readonly #claims = new StorageClaims()
  readonly #budget: MemoryBudget
  readonly #connections: ConnectionBudget
  readonly #listening: Promise<void>
  readonly #strangers = new Set<Wire>()
  /** How many callers wait for the files of a torrent. */
  readonly #waiting = new Map<Torrent, number>()
  #listener: Listener | undefined
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
    if (options.lsd !== false) {
      const onWarning = (warning: Error): boolean => this.emit('warning', warning)
      this.#lsd = new Lsd({ port: () => this.port, host: options.host, onWarning })
    }
    this.#listening = this.#listen()
  }

  /** All torrents, those whose files are not known yet included. */
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

  /**
   * Adds a torrent and resolves as soon as its files are known; never waits for a full hash check. A torrent that is here already is
   * returned, with the peers and trackers given merged into it.
   * @throws TorrentError when the source or an option makes no sense, or the storage cannot be opened; the signal's reason.
   */
  async add(source: TorrentSource, options: AddOptions = {}): Promise<Torrent> {
    this.#checkOpen()
    options.signal?.throwIfAborted()
    checkSelect(options.select)
    checkLimits(options)
    const resolved = await resolveSource(source, options.signal)
    return this.#begin(resolved, options, {})
  }

  /**
   * Makes a torrent of files and folders, hashing on all cores, and seeds it from where they are.
   * @throws TorrentError ERR_METAINFO_CREATE when there is nothing to share or a file cannot be read; the signal's reason.
   */
  async seed(paths: string | readonly string[], options: SeedOptions = {}): Promise<Torrent> {
    this.#checkOpen()
    checkLimits(options)
    const scan = await scanFiles(paths, options)
    const metainfo = parseTorrent(await createFromScan(scan, options))
    const { peers, paused, downloadLimit, uploadLimit, superSeeding } = options
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
    const found = typeof torrent === 'string' ? this.get(torrent) : torrent
    if (found === undefined || this.#torrents.get(found.infoHash) !== found) return
    await found.remove(deleteFiles)
    this.#torrents.delete(found.infoHash)
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
    await this.#listening
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
    if (known !== undefined) {
      known.addPeers([...resolved.peers, ...(options.peers ?? [])])
      known.addTrackers([...resolved.trackers, ...(options.trackers ?? [])])
      if (metainfo !== undefined) await known.learn(metainfo)
      await this.#ready(known, options.signal)
      return known
    }
    const folder = path.resolve(
      options.path ?? this.#options.path ?? path.join(tmpdir(), 'piecewise', infoHash)
    )
    const isDefault = options.path === undefined && this.#options.path === undefined
    // A custom storage and files that are seeded where they are get no record unless a folder for it is named.
    const beside =
      options.storage === undefined && extra.complete !== true ? path.join(folder, '.piecewise') : undefined
    const torrent = new Torrent(
      this.#host(),
      {
        ...options,
        ...extra,
        infoHashes,
        name: resolved.name,
        announce: resolved.trackers,
        peers: [...resolved.peers, ...(options.peers ?? [])],
        select: options.select ?? resolved.select,
        path: folder,
        ...(isDefault ? { folderMode: 0o700 } : {}),
        state: this.#options.state ?? beside
      },
      (error) => this.#onTorrentError(error, torrent)
    )
    this.#torrents.set(infoHash, torrent)
    torrent.once('close', () => this.#torrents.delete(infoHash))
    this.emit('torrent', torrent)
    try {
      await torrent.start(metainfo)
    } catch (thrown) {
      await torrent.close()
      throw thrown
    }
    await this.#ready(torrent, options.signal)
    return torrent
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

  #host(): TorrentHost {
    const client = this
    const throttles = {
      download: new Throttle(Number.POSITIVE_INFINITY, { parent: this.#download }),
      upload: new Throttle(Number.POSITIVE_INFINITY, { parent: this.#upload })
    }
    return {
      peerId: this.#peerId,
      get port() {
        return client.port
      },
      budget: this.#budget,
      connections: this.#connections,
      claims: this.#claims,
      hashPool: this.#hashPool,
      udpTrackers: this.#udpTrackers,
      own: this.#own,
      pex: this.#options.pex !== false,
      lsd: this.#lsd,
      throttles,
      get downloadLimit() {
        return client.downloadLimit
      },
      get uploadLimit() {
        return client.uploadLimit
      },
      get serving() {
        return client.torrents.reduce((count, { serves }) => count + Number(serves), 0)
      },
      localAddress: this.#options.host,
      dial: async (address, signal) => {
        const options = { signal, localAddress: this.#options.host }
        return new ThrottledConnection(await this.#transport.dial(address, options), throttles)
      }
    }
  }

  async #listen(): Promise<void> {
    try {
      this.#listener = await this.#transport.listen({
        port: this.#options.port ?? 0,
        ...(this.#options.host === undefined ? {} : { host: this.#options.host }),
        onConnection: (connection) =>
          this.#greet(
            new ThrottledConnection(connection, { download: this.#download, upload: this.#upload })
          ),
        onWarning: (warning) => this.emit('warning', warning)
      })
    } catch (thrown) {
      // Without a port we are not reached, but reach others all the same.
      this.emit('warning', asError(thrown))
    }
  }

  /** Waits for the handshake of a peer that dialled us, and gives it to the torrent that it names. */
  #greet(connection: ThrottledConnection): void {
    if (this.#closing !== undefined) {
      connection.close()
      return
    }
    if (this.#strangers.size >= mostStrangers) {
      // An honest peer says who it is within a round trip, so whoever waits longest is the least likely to be one.
      const [oldest] = this.#strangers
      oldest?.destroy(new TorrentError('ERR_TRANSPORT_TIMEOUT', 'no handshake came, and others wait'))
    }
    const wire = new Wire()
    this.#strangers.add(wire)
    const timer = setTimeout(() => {
      wire.destroy(new TorrentError('ERR_TRANSPORT_TIMEOUT', 'no handshake came'))
    }, handshakeMs)
    timer.unref()
    const settle = (): void => {
      clearTimeout(timer)
      this.#strangers.delete(wire)
    }
    wire.once('close', settle)
    wire.once('handshake', ({ infoHash, peerId }) => {
      if (equalBytes(peerId, this.#peerId)) {
        // That is ourselves: our answer tells the side that dialled, which then closes.
        wire.handshake(infoHash, this.#peerId)
        return
      }
      settle()
      const torrent = this.#torrents.get(toHex(infoHash))
      if (torrent === undefined) {
        wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'the peer asks for a torrent that is not here'))
        return
      }
      const { pieceCount, pieceLength, totalLength } = torrent.wireOptions()
      if (pieceCount !== undefined) wire.setPieceCount(pieceCount, pieceLength, totalLength)
      torrent.accept(connection, wire, peerId)
    })
    join(connection, wire)
  }

  #onTorrentError(error: Error, torrent: Torrent): void {
    if (this.listenerCount('error') > 0) this.emit('error', error, torrent)
    else process.emitWarning(error)
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new TorrentError('ERR_CLIENT_CLOSED', 'the client is closed')
  }

  async #close(): Promise<void> {
    await this.#listening
    const unlistened = this.#listener?.close()
    for (const wire of this.#strangers) wire.destroy()
    await Promise.all(this.torrents.map((torrent) => torrent.close()))
    await this.#transport.close()
    await unlistened
    await this.#lsd?.close()
    await this.#udpTrackers.close()
    await this.#hashPool.close()
  }
}

/** An Azureus-style peer id (BEP 20) with our version and 12 random bytes. */
function makePeerId(): Uint8Array {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  const digits = [major, minor, patch, 0]
    .map((part) => Math.min(part, 35).toString(36).toUpperCase())
    .join('')
  const peerId = randomBytes(20)
  peerId.set(fromText(`-PW${digits}-`))
  return peerId
}

function checkLimits({ downloadLimit, uploadLimit }: AddOptions): void {
  checkLimit('downloadLimit', downloadLimit)
  checkLimit('uploadLimit', uploadLimit)
}

function checkSelect(select: AddOptions['select']): void {
  if (select === undefined || select === 'all' || select === 'none') return
  if (Array.isArray(select) && select.every((index) => Number.isInteger(index) && index >= 0)) return
  throw new TorrentError(
    'ERR_CLIENT_OPTION',
    `option select: ${JSON.stringify(select)} must be 'all', 'none', or a list of indices of files`,
    { details: { option: 'select' } }
  )
}
