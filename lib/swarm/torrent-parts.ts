import type { Layout } from '../metainfo/layout.ts'
import type { Haves } from './haves.ts'
import type { MetadataExchange } from './metadata-exchange.ts'
import type { Peer } from './peer.ts'
import type { Uploads } from './uploads.ts'

/** Part of a torrent's run state that controls its swarm. */
export interface SwarmState {
  /** Whether it must not transfer payload or dial. */
  readonly stopped: boolean
  /** Whether it has left the swarm for now: no connections, no announces. */
  readonly away: boolean
  /** Whether it must stop once its metadata is known. */
  readonly waits: boolean
  /** Whether the files are known and the storage is open. */
  readonly filesKnown: boolean
  readonly closed: boolean
}

/** The metadata of a torrent, as the swarm uses it. */
export interface SwarmMetadata {
  readonly known: boolean
  readonly exchange: MetadataExchange
  close(): void
}

/** The data of a torrent, as the swarm uses it. */
export interface SwarmContent {
  readonly layout: Layout
  /** Whether every piece is stored. */
  readonly complete: boolean
  readonly activity: 'checking' | 'downloading' | 'seeding' | 'idle'
  /** Whether all selected pieces are stored. */
  readonly done: boolean
  /** Whether nothing more will be downloaded unless the selection changes or a stream reads (BEP 21). */
  readonly uploadOnly: boolean
  readonly haves: Haves
  readonly uploads: Uploads
  /** Adds a peer after the handshakes; `granted` holds its allowed-fast pieces so far (BEP 6). */
  addPeer(peer: Peer, granted: Iterable<number>): void
  removePeer(peer: Peer): void
  /** Runs periodic work; called once a second while there are peers, with `now` in milliseconds. */
  tick(now: number): void
}
