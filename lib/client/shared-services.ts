import { resolve } from 'node:path'
import { hostKey } from '../discovery/address-scope.ts'
import { ConnectionBudget } from '../discovery/connection-budget.ts'
import type { DialRules } from '../discovery/dial-variant.ts'
import { Lsd } from '../discovery/lsd.ts'
import { OwnAddress } from '../discovery/own-address.ts'
import { HashPool } from '../hash/hash-pool.ts'
import { limits } from '../net/limits.ts'
import { Network } from '../net/network.ts'
import { RecordKey } from '../storage/record-key.ts'
import { RecordSeal } from '../storage/record-seal.ts'
import { StorageClaims } from '../storage/storage-claims.ts'
import { Acceptor, type DialledTorrent } from '../swarm/acceptor.ts'
import { MetadataMemory } from '../swarm/metadata-memory.ts'
import { ServingTorrents } from '../swarm/serving-torrents.ts'
import { peerSniffer } from '../swarm/sniff-peer.ts'
import { AnnouncePace } from '../tracker/announce-pace.ts'
import { UdpTrackerClient } from '../tracker/udp-tracker-client.ts'
import { refusesConnection } from '../transport/handling-account.ts'
import { Throttle } from '../transport/throttle.ts'
import { isLoopback } from '../util/address.ts'
import { TorrentError } from '../util/errors.ts'
import { MemoryBudget } from '../util/memory-budget.ts'
import { userStateFolder } from '../util/state-folder.ts'
import type { ClientServices } from './client-host.ts'
import { DhtService } from './dht-service.ts'
import { NatService } from './nat-service.ts'
import { type ClientOptions, proxyOf } from './options.ts'
import { makePeerId } from './peer-id.ts'

const defaultMemoryLimit = 48 << 20
/** Bytes; less would not hold the blocks that a reader and a background piece need at a time. */
const leastMemoryLimit = 1 << 20

/** Callbacks of {@link SharedServices}. */
export interface SharedServicesEvents {
  /** Returns the torrent of the 20-byte info hash in a handshake. */
  find(infoHash: Uint8Array): DialledTorrent | undefined
  /** Returns the info hash (20 bytes) whose MSE hash (SHA-1 of `req2` and the info hash) is `name`, or undefined. */
  findNamed(name: Uint8Array): Uint8Array | undefined
  /** Called when a torrent changes in a way that the queue or the saved list depends on. */
  changed(): void
  /** Called when trackers must hear of another port. */
  announce(): void
  /** Called when the queue must decide at once which torrents run. */
  decide(): void
}

/** The services that all torrents of a client share: ports, rate limits, budgets, and peer discovery. */
export class SharedServices implements ClientServices {
  readonly peerId: Uint8Array = makePeerId()
  readonly budget: MemoryBudget
  readonly metadataMemory: MetadataMemory = new MetadataMemory()
  readonly connections: ConnectionBudget
  readonly claims: StorageClaims = new StorageClaims()
  readonly hashPool: HashPool = new HashPool()
  readonly recordKey: RecordKey = new RecordKey(userStateFolder())
  readonly reserved: readonly string[]
  /** All network access goes through it. */
  readonly network: Network
  /** Accepts peers that connect to us. */
  readonly acceptor: Acceptor
  readonly udpTrackers: UdpTrackerClient
  readonly announcePace: AnnouncePace = new AnnouncePace()
  readonly serving: ServingTorrents = new ServingTorrents()
  readonly own: OwnAddress
  readonly pex: boolean
  readonly lsd: Lsd | undefined
  readonly dht: DhtService | undefined
  /** Undefined with `natTraversal` off. */
  readonly nat: NatService | undefined
  readonly download: Throttle
  readonly upload: Throttle
  readonly localAddress: string | undefined
  readonly dials: DialRules
  /** Resolves when the ports are open, or could not be opened, with a warning. Never rejects. */
  readonly listening: Promise<void>
  /** The client's option `path`: its data folder. */
  readonly #path: string | undefined
  #events: SharedServicesEvents | undefined

  /** Opens the ports at once. The caller has checked the options. */
  constructor(options: ClientOptions, onWarning: (warning: Error) => void) {
    const { host, maxConnections, state, pex = true, dht = true, encryption = 'allow' } = options
    const proxy = proxyOf(options.proxy)
    // Multicast would go around the proxy.
    const { lsd = proxy === undefined } = options
    const unlimited = Number.POSITIVE_INFINITY
    this.#path = options.path
    this.reserved = [state, this.recordKey.folder].flatMap((one) => (one === undefined ? [] : resolve(one)))
    this.download = new Throttle(options.downloadLimit ?? unlimited)
    this.upload = new Throttle(options.uploadLimit ?? unlimited)
    this.budget = new MemoryBudget(Math.max(leastMemoryLimit, options.memoryLimit ?? defaultMemoryLimit))
    this.connections = new ConnectionBudget({
      ...(maxConnections === undefined ? {} : { maxConnections }),
      ...(proxy === undefined ? {} : { maxHalfOpen: limits.proxyHalfOpen })
    })
    this.localAddress = host
    this.dials = { encryption, transports: ['tcp'] }
    this.pex = pex
    const localPort = (): number => network.port
    const port = (): number => this.port()
    this.own = new OwnAddress(port)
    const network = new Network({ host, onWarning, proxy })
    this.network = network
    this.lsd = lsd
      ? new Lsd({ port: localPort, onWarning, open: (multicast) => network.multicast(multicast) })
      : undefined
    this.udpTrackers = new UdpTrackerClient({ network })
    this.acceptor = new Acceptor({
      peerId: this.peerId,
      throttles: { download: this.download, upload: this.upload },
      find: (infoHash) => this.#events?.find(infoHash),
      encryption,
      findNamed: (name) => this.#events?.findNamed(name)
    })
    const ports = network.listen({
      port: options.port ?? 0,
      sniff: peerSniffer(encryption),
      refuses: (remote) => refusesConnection(hostKey(remote)),
      onConnection: (connection) => this.acceptor.accept(connection)
    })
    this.listening = ports.then(() => {})
    if (proxy !== undefined && !proxy.carriesUdp) {
      const message = `${proxy.name} carries no UDP, so the DHT and UDP trackers are off`
      // The program attaches its listeners after the constructor.
      setImmediate(() => onWarning(new TorrentError('ERR_TRANSPORT_PROXY', message)))
      return
    }
    if (options.natTraversal === true && !(host !== undefined && isLoopback(host)))
      this.nat = new NatService({
        network,
        udp: dht !== false,
        listening: ports,
        port: localPort,
        onPort: () => {
          this.own.portChanged()
          this.dht?.announceNow()
          this.#events?.announce()
        }
      })
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

  /** Sets the callbacks; before that, incoming peers are refused and changes are ignored. */
  setEvents(events: SharedServicesEvents): void {
    this.#events = events
  }

  port(): number {
    return this.nat?.externalPort ?? this.network.port
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

  /** Stops accepting connections, and removes the port mapping. Open connections are not affected, and may outlast the promise. */
  async unlisten(): Promise<void> {
    await Promise.all([this.network.unlisten(), this.nat?.close()])
  }

  /** Closes all services. Call it after `unlisten`, once all torrents are closed; `unlistened` is the promise of `unlisten`. */
  async close(unlistened: Promise<void>): Promise<void> {
    await this.lsd?.close()
    await this.dht?.close()
    await this.udpTrackers.close()
    await this.nat?.close()
    await this.network.close()
    await unlistened
    await this.hashPool.close()
  }
}
