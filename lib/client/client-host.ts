import type { ConnectionBudget } from '../discovery/connection-budget.ts'
import type { DialRules, DialVariant } from '../discovery/dial-variant.ts'
import type { Lsd } from '../discovery/lsd.ts'
import type { OwnAddress } from '../discovery/own-address.ts'
import type { HashPool } from '../hash/hash-pool.ts'
import type { Connection } from '../net/connection.ts'
import type { Network } from '../net/network.ts'
import type { RecordSeal } from '../storage/record-seal.ts'
import type { StorageClaims } from '../storage/storage-claims.ts'
import type { MetadataMemory } from '../swarm/metadata-memory.ts'
import type { ServingTorrents } from '../swarm/serving-torrents.ts'
import type { TorrentDht } from '../swarm/swarm-host.ts'
import type { TorrentHost } from '../torrent/torrent-host.ts'
import type { AnnouncePace } from '../tracker/announce-pace.ts'
import type { UdpTrackerClient } from '../tracker/udp-tracker-client.ts'
import { Throttle } from '../transport/throttle.ts'
import type { PeerAddress } from '../util/address.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'

/** Services that a client offers to its torrents. */
export interface ClientServices {
  readonly peerId: Uint8Array
  readonly budget: MemoryBudget
  readonly metadataMemory: MetadataMemory
  readonly connections: ConnectionBudget
  readonly claims: StorageClaims
  readonly reserved: readonly string[]
  seal(folder: string, data: string): RecordSeal
  readonly hashPool: HashPool
  readonly udpTrackers: UdpTrackerClient
  readonly announcePace: AnnouncePace
  readonly own: OwnAddress
  readonly pex: boolean
  readonly lsd: Lsd | undefined
  readonly dht: TorrentDht | undefined
  readonly network: Network
  /** The torrents that share the upload limit. */
  readonly serving: ServingTorrents
  /** The client's rate limits. */
  readonly download: Throttle
  readonly upload: Throttle
  readonly localAddress: string | undefined
  readonly dials: DialRules
  /** Port at which peers on the internet reach us: the one that is announced. */
  port(): number
  changed(): void
  decide(): void
}

/** The client's services for one torrent, with rate limits per torrent inside the client's. */
export class ClientHost implements TorrentHost {
  readonly throttles: { readonly download: Throttle; readonly upload: Throttle }
  readonly #services: ClientServices

  constructor(services: ClientServices) {
    this.#services = services
    this.throttles = {
      download: new Throttle(Number.POSITIVE_INFINITY, { parent: services.download }),
      upload: new Throttle(Number.POSITIVE_INFINITY, { parent: services.upload })
    }
  }

  get peerId(): Uint8Array {
    return this.#services.peerId
  }

  get port(): number {
    return this.#services.port()
  }

  get budget(): MemoryBudget {
    return this.#services.budget
  }

  get metadataMemory(): MetadataMemory {
    return this.#services.metadataMemory
  }

  get connections(): ConnectionBudget {
    return this.#services.connections
  }

  get claims(): StorageClaims {
    return this.#services.claims
  }

  get reserved(): readonly string[] {
    return this.#services.reserved
  }

  seal(folder: string, data: string): RecordSeal {
    return this.#services.seal(folder, data)
  }

  get hashPool(): HashPool {
    return this.#services.hashPool
  }

  get udpTrackers(): UdpTrackerClient {
    return this.#services.udpTrackers
  }

  get announcePace(): AnnouncePace {
    return this.#services.announcePace
  }

  get own(): OwnAddress {
    return this.#services.own
  }

  get pex(): boolean {
    return this.#services.pex
  }

  get lsd(): Lsd | undefined {
    return this.#services.lsd
  }

  get dht(): TorrentDht | undefined {
    return this.#services.dht
  }

  get downloadLimit(): number {
    return this.#services.download.rate
  }

  get uploadLimit(): number {
    return this.#services.upload.rate
  }

  get serving(): ServingTorrents {
    return this.#services.serving
  }

  get network(): Network {
    return this.#services.network
  }

  get localAddress(): string | undefined {
    return this.#services.localAddress
  }

  get dials(): DialRules {
    return this.#services.dials
  }

  changed(): void {
    this.#services.changed()
  }

  decide(): void {
    this.#services.decide()
  }

  dial(address: PeerAddress, _variant: DialVariant, signal: AbortSignal): Promise<Connection> {
    return this.network.tcp.dial(address, { signal })
  }
}
