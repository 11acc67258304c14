import type { Layout } from '../metainfo/layout.ts'
import type { Haves } from './haves.ts'
import type { MetadataExchange } from './metadata-exchange.ts'
import type { Peer } from './peer.ts'
import type { Uploads } from './uploads.ts'

/** The part of a torrent's run state that decides whether it takes part in its swarm. */
export interface SwarmState {
  /** Whether it is not to move payload or to dial. */
  readonly stopped: boolean
  /** Whether it has left the swarm for now. */
  readonly away: boolean
  /** Whether it is not to run once its files are known. */
  readonly waits: boolean
  /** Whether the files are known and the storage is open. */
  readonly filesKnown: boolean
  readonly closed: boolean
}

/** The metadata of a torrent, as far as peers ask for it or send it. */
export interface SwarmMetadata {
  readonly known: boolean
  readonly exchange: MetadataExchange
  close(): void
}

/** The data of a torrent, as far as its peers are concerned. */
export interface SwarmContent {
  readonly layout: Layout
  /** Whether every piece is stored. */
  readonly complete: boolean
  readonly activity: 'checking' | 'downloading' | 'seeding' | 'idle'
  /** Whether everything selected is stored. */
  readonly done: boolean
  /** Whether nothing more will be downloaded unless something else is selected or read (BEP 21). */
  readonly uploadOnly: boolean
  readonly haves: Haves
  readonly uploads: Uploads
  /** Takes a peer after the handshakes; `granted` are pieces that it has granted (BEP 6) already. */
  addPeer(peer: Peer, granted: Iterable<number>): void
  removePeer(peer: Peer): void
  /** To be called once a second while there are peers; `now` in milliseconds. */
  tick(now: number): void
}
