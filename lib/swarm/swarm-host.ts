import type { ConnectionBudget } from '../discovery/connection-budget.ts'
import type { DialVariant } from '../discovery/dial-variant.ts'
import type { Lsd } from '../discovery/lsd.ts'
import type { OwnAddress } from '../discovery/own-address.ts'
import type { Connection } from '../net/connection.ts'
import type { Network } from '../net/network.ts'
import type { AnnouncePace } from '../tracker/announce-pace.ts'
import type { UdpTrackerClient } from '../tracker/udp-tracker-client.ts'
import type { Throttle } from '../transport/throttle.ts'
import type { PeerAddress } from '../util/address.ts'
import type { Trust } from '../util/trust.ts'

/** Facts of a torrent that decide how the DHT is asked; read whenever they are needed. */
export interface TorrentDhtOptions {
  /** Whether we have all of it. */
  isSeed(): boolean
  /** Whether more peers are wanted soon. */
  isHungry(): boolean
}

/** The DHT of a client as a torrent uses it. */
export interface TorrentDht {
  /** Our UDP port as a peer with this address reaches it; undefined while there is none. */
  port(remoteHost: string): number | undefined
  /** Takes a node in, if it answers. One that a torrent names is `'remote'`, and reaches this machine and local networks only as peers do. */
  addNode(address: PeerAddress, trust: Trust): void
  /** Peers of a torrent, to which we are announced from time to time until the iterator is left. */
  peers(infoHash: Uint8Array, options: TorrentDhtOptions): AsyncIterable<PeerAddress>
}

/** The parts of a client that its swarms share. */
export interface SwarmHost {
  /** 20 bytes. */
  readonly peerId: Uint8Array
  /** The port on which peers reach us. */
  readonly port: number
  readonly connections: ConnectionBudget
  /** The way to trackers. */
  readonly network: Network
  readonly udpTrackers: UdpTrackerClient
  readonly announcePace: AnnouncePace
  /** Our address as others see it. */
  readonly own: OwnAddress
  /** Whether peers are told of each other (BEP 11). */
  readonly pex: boolean
  /** Finds peers in the local network (BEP 14); undefined when that is off. */
  readonly lsd: Lsd | undefined
  /** Finds peers in the DHT (BEP 5); undefined when that is off. */
  readonly dht: TorrentDht | undefined
  /** The client's limit in bytes per second, `Infinity` for none. */
  readonly uploadLimit: number
  /** Our numeric address, when only one is listened on. */
  readonly localAddress: string | undefined
  /** Limits of this torrent alone, inside those of the client; all its connections wait their turn in them. */
  readonly throttles: { readonly download: Throttle; readonly upload: Throttle }
  /** Connects to a peer. */
  dial(address: PeerAddress, variant: DialVariant, signal: AbortSignal): Promise<Connection>
}
