import type { ConnectionBudget } from '../discovery/connection-budget.ts'
import type { DialRules, DialVariant } from '../discovery/dial-variant.ts'
import type { Lsd } from '../discovery/lsd.ts'
import type { OwnAddress } from '../discovery/own-address.ts'
import type { Connection } from '../net/connection.ts'
import type { Network } from '../net/network.ts'
import type { AnnouncePace } from '../tracker/announce-pace.ts'
import type { UdpTrackerClient } from '../tracker/udp-tracker-client.ts'
import type { Throttle } from '../transport/throttle.ts'
import type { PeerAddress } from '../util/address.ts'
import type { Trust } from '../util/trust.ts'

/** State of a torrent that controls its DHT look-ups. */
export interface TorrentDhtOptions {
  /** Whether we have the whole torrent. */
  isSeed(): boolean
  /** Whether more peers are wanted soon. */
  isHungry(): boolean
}

/** The client's DHT, as a torrent uses it. */
export interface TorrentDht {
  /** Returns the UDP port of our node in the address family of `remoteHost`; undefined while there is none. */
  port(remoteHost: string): number | undefined
  /** Pings a node and adds it if it answers. With `'remote'` trust, for nodes from torrents, the address is scope-checked like a peer's. */
  addNode(address: PeerAddress, trust: Trust): void
  /** Yields peers of a torrent, and announces us repeatedly until the iterator is closed. */
  peers(infoHash: Uint8Array, options: TorrentDhtOptions): AsyncIterable<PeerAddress>
}

/** The parts of a client that its swarms use. */
export interface SwarmHost {
  /** Own peer id, 20 bytes. */
  readonly peerId: Uint8Array
  /** The port on which peers on the internet can reach us. May change. */
  readonly port: number
  readonly connections: ConnectionBudget
  /** Network access for trackers. */
  readonly network: Network
  readonly udpTrackers: UdpTrackerClient
  readonly announcePace: AnnouncePace
  /** Our address as peers and trackers report it. */
  readonly own: OwnAddress
  /** Whether PEX is on (BEP 11). */
  readonly pex: boolean
  /** Local service discovery (BEP 14); undefined when it is off. */
  readonly lsd: Lsd | undefined
  /** The DHT (BEP 5); undefined when it is off. */
  readonly dht: TorrentDht | undefined
  /** The client's upload limit in bytes per second; `Infinity` for none. */
  readonly uploadLimit: number
  /** Our numeric address, if the client listens on only one. */
  readonly localAddress: string | undefined
  /** Rate limits of this torrent, inside those of the client; all its connections share them. */
  readonly throttles: { readonly download: Throttle; readonly upload: Throttle }
  /** Ways to dial peers. */
  readonly dials: DialRules
  /** Connects to a peer; rejects when the connection fails or `signal` aborts. */
  dial(address: PeerAddress, variant: DialVariant, signal: AbortSignal): Promise<Connection>
}
