import { resolve } from 'node:path'
import { hostKey } from '../discovery/address-scope.ts'
import { ConnectionBudget } from '../discovery/connection-budget.ts'
import { Lsd } from '../discovery/lsd.ts'
import { OwnAddress } from '../discovery/own-address.ts'
import { HashPool } from '../hash/hash-pool.ts'
import { Network } from '../net/network.ts'
import { RecordKey } from '../storage/record-key.ts'
import { RecordSeal } from '../storage/record-seal.ts'
import { StorageClaims } from '../storage/storage-claims.ts'
import { Acceptor, type DialledTorrent } from '../swarm/acceptor.ts'
import { MetadataMemory } from '../swarm/metadata-memory.ts'
import { ServingTorrents } from '../swarm/serving-torrents.ts'
import { AnnouncePace } from '../tracker/announce-pace.ts'
import { UdpTrackerClient } from '../tracker/udp-tracker-client.ts'
import { refusesConnection } from '../transport/handling-account.ts'
import { Throttle } from '../transport/throttle.ts'
import { MemoryBudget } from '../util/memory-budget.ts'
import { userStateFolder } from '../util/state-folder.ts'
import { sniffHandshake } from '../wire/sniff-handshake.ts'
import type { ClientServices } from './client-host.ts'
import { DhtService } from './dht-service.ts'
import type { ClientOptions } from './options.ts'
import { makePeerId } from './peer-id.ts'

const defaultMemoryLimit = 48 << 20
/** Less would not hold the few blocks that a reader and a background piece need at a time. */
const leastMemoryLimit = 1 << 20

/** Listeners of {@link SharedServices}. */
export interface SharedServicesEvents {
  /** Returns the torrent that the 20 bytes of a handshake name. */
  find(infoHash: Uint8Array): DialledTorrent | undefined
  /** A torrent has changed. */
  changed(): void
  /** Which torrents run is to be decided at once. */
  decide(): void
}

/** Services that all torrents of a client share: ports, limits, budgets, and ways to find peers. */
export class SharedServices implements ClientServices {
  readonly peerId: Uint8Array = makePeerId()
  readonly budget: MemoryBudget
  readonly metadataMemory: MetadataMemory = new MetadataMemory()
  readonly connections: ConnectionBudget
  readonly claims: StorageClaims = new StorageClaims()
  readonly hashPool: HashPool = new HashPool()
  readonly recordKey: RecordKey = new RecordKey(userStateFolder())
  readonly reserved: readonly string[]
  /** The only way out, and in. */
  readonly network: Network
  /** The way in for peers. */
  readonly acceptor: Acceptor
  readonly udpTrackers: UdpTrackerClient
  readonly announcePace: AnnouncePace = new AnnouncePace()
  readonly serving: ServingTorrents = new ServingTorrents()
  readonly own: OwnAddress
  readonly pex: boolean
  readonly lsd: Lsd | undefined
  readonly dht: DhtService | undefined
  readonly download: Throttle
  readonly upload: Throttle
  readonly localAddress: string | undefined
  /** Resolves when the ports are open, or could not be opened, of which `warning` tells; never rejects. */
  readonly listening: Promise<void>
  /** The client's folder for data. */
  readonly #path: string | undefined
  #events: SharedServicesEvents | undefined

  /** Opens the ports at once. The options were checked; `onWarning` hears of what the client survives. */
  constructor(options: ClientOptions, onWarning: (warning: Error) => void) {
    const { host, maxConnections, state, pex = true, lsd = true, dht = true } = options
    const never = Number.POSITIVE_INFINITY
    this.#path = options.path
    this.reserved = [state, this.recordKey.folder].flatMap((one) => (one === undefined ? [] : resolve(one)))
    this.download = new Throttle(options.downloadLimit ?? never)
    this.upload = new Throttle(options.uploadLimit ?? never)
    this.budget = new MemoryBudget(Math.max(leastMemoryLimit, options.memoryLimit ?? defaultMemoryLimit))
    this.connections = new ConnectionBudget(maxConnections === undefined ? {} : { maxConnections })
    this.localAddress = host
    this.pex = pex
    const port = (): number => this.port()
    this.own = new OwnAddress(port)
    const network = new Network({ host, onWarning })
    this.network = network
    this.lsd = lsd
      ? new Lsd({ port, onWarning, open: (multicast) => network.multicast(multicast) })
      : undefined
    this.udpTrackers = new UdpTrackerClient({ network })
    this.acceptor = new Acceptor({
      peerId: this.peerId,
      throttles: { download: this.download, upload: this.upload },
      find: (infoHash) => this.#events?.find(infoHash)
    })
    const ports = network.listen({
      port: options.port ?? 0,
      sniff: sniffHandshake,
      refuses: (remote) => refusesConnection(hostKey(remote)),
      onConnection: (connection) => this.acceptor.accept(connection)
    })
    this.listening = ports.then(() => {})
    if (dht === false) return
    this.dht = new DhtService({
      ...(dht === true ? {} : dht),
      ports,
      host,
      stateFolder: state,
      tcpPort: port,
      lookup: network.lookup,
      onAddress: (seen) => this.own.told('dht', seen, 'dht'),
      onWarning
    })
  }

  /** Sets the listener that hears of peers that dial us and of torrents that change. */
  listen(events: SharedServicesEvents): void {
    this.#events = events
  }

  port(): number {
    return this.network.port
  }

  seal(folder: string, data: string): RecordSeal {
    const all = this.#path === undefined ? [data] : [data, resolve(this.#path)]
    return new RecordSeal(this.recordKey, { folder, about: data, data: all, kind: 'resume' })
  }

  changed(): void {
    this.#events?.changed()
  }

  decide(): void {
    this.#events?.decide()
  }

  /** Takes no further connections; resolves when those that were taken have ended as well. */
  unlisten(): Promise<void> {
    return this.network.unlisten()
  }

  /** Ends everything, once `unlisten` was called and no torrent is left. */
  async close(unlistened: Promise<void>): Promise<void> {
    await this.lsd?.close()
    await this.dht?.close()
    await this.udpTrackers.close()
    await this.network.close()
    await unlistened
    await this.hashPool.close()
  }
}
