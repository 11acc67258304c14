import { hostKey, siteOf } from '../discovery/address-scope.ts'
import type { PeerSource } from '../discovery/peer-source.ts'
import type { Connection, ConnectionEncryption, TransportName } from '../net/connection.ts'
import { formatAddress, isLoopback, type PeerAddress } from '../util/address.ts'
import { toHex } from '../util/bytes.ts'
import type { PeerNumber } from '../util/indices.ts'
import { Meter } from '../util/meter.ts'
import { clientName } from '../wire/client-name.ts'
import { DontHaveExtension } from '../wire/lt-donthave.ts'
import { UploadOnlyExtension } from '../wire/upload-only.ts'
import type { Wire } from '../wire/wire.ts'
import type { PeerConnection } from './pending-handshakes.ts'

/** Assumed round trip in milliseconds until the picker has measured it. */
const guessedLatencyMs = 100

/** Snapshot of one connected peer. */
export interface PeerInfo {
  /** `host:port` of the connection. */
  readonly address: string
  /** Name of its client, if known. */
  readonly client: string | undefined
  /** 20 bytes, in hexadecimal. */
  readonly peerId: string
  /** Whether the peer dialled us. */
  readonly incoming: boolean
  /** The protocol that carries the connection. */
  readonly transport: TransportName
  /** Encryption of the connection (MSE): none, of the handshake alone, or of all bytes by RC4. */
  readonly encryption: ConnectionEncryption
  /** Source of the peer's address, or `incoming` if it dialled us. */
  readonly source: PeerSource
  /** Fraction of the torrent's pieces that it has, 0 to 1. */
  readonly progress: number
  /** Payload bytes received from it. */
  readonly downloaded: number
  /** Payload bytes sent to it. */
  readonly uploaded: number
  /** Payload bytes received from it per second. */
  readonly downloadSpeed: number
  /** Payload bytes sent to it per second. */
  readonly uploadSpeed: number
  /** Whether it chokes us. */
  readonly peerChoking: boolean
  /** Whether we choke it. */
  readonly amChoking: boolean
  /** Whether it is interested in our pieces. */
  readonly peerInterested: boolean
  /** Whether we are interested in its pieces. */
  readonly amInterested: boolean
  /** Whether it will not download any more: it is a seed or has all it wants (BEP 21). */
  readonly uploadOnly: boolean
  /** Number of our outstanding requests to it. */
  readonly requests: number
  /** Piece of the block being received, otherwise of the oldest request; undefined without requests. */
  readonly piece: number | undefined
}

/** Our requests to a peer; see {@link PeerInfo}. */
export type PeerLoad = Pick<PeerInfo, 'requests' | 'piece'>

/** A connected peer with its wire, connection and meters. */
export class Peer {
  readonly id: PeerNumber
  readonly wire: Wire
  readonly connection: Connection
  /** Its listening address if known, otherwise the remote address of the connection. */
  address: PeerAddress
  readonly source: PeerSource
  readonly peerId: string
  readonly connectedAt: number
  /** Key for bans: the host, in IPv6 its /64. On loopback it includes the port, because many peers share the host. */
  readonly banKey: string
  /** Key of the site, see `siteOf`; undefined in local networks. */
  readonly site: string | undefined
  readonly down: Meter = new Meter()
  readonly up: Meter = new Meter()
  /** Round trip in milliseconds; a guess for a peer that dialled us. */
  readonly latencyMs: number
  /** Sends and receives `lt_donthave` messages (BEP 54). */
  readonly haveExtension: DontHaveExtension
  readonly #uploadOnly: UploadOnlyExtension

  constructor(
    id: PeerNumber,
    { wire, connection, peerId, latencyMs }: PeerConnection,
    address: PeerAddress,
    source: PeerSource,
    now: number,
    onUploadOnly: (peer: Peer) => void
  ) {
    this.id = id
    this.wire = wire
    this.connection = connection
    this.address = address
    this.source = source
    this.latencyMs = latencyMs ?? guessedLatencyMs
    this.haveExtension = wire.use(new DontHaveExtension(wire))
    this.#uploadOnly = wire.use(new UploadOnlyExtension(wire, () => onUploadOnly(this)))
    this.peerId = toHex(peerId)
    const { remote } = connection
    this.banKey = isLoopback(remote.host) ? formatAddress(remote) : hostKey(remote.host)
    this.site = siteOf(remote.host)
    this.connectedAt = now
  }

  /** Whether it will not download any more: it said so (BEP 21) or is a seed. */
  get uploadOnly(): boolean {
    return this.#uploadOnly.uploadOnly || this.wire.peerSeeding
  }

  /** Tells the peer whether we will download any more (BEP 21). */
  tellUploadOnly(uploadOnly: boolean): void {
    this.#uploadOnly.send(uploadOnly)
  }

  /** Returns a snapshot; `load` is undefined until the files are known. */
  info(now: number, load: PeerLoad | undefined, pieceCount: number): PeerInfo {
    const { wire } = this
    return {
      address: formatAddress(this.connection.remote),
      client: wire.peerHandshake?.version ?? clientName(wire.peerId ?? new Uint8Array()),
      peerId: this.peerId,
      incoming: this.connection.incoming,
      transport: this.connection.transport,
      encryption: this.connection.encryption,
      source: this.source,
      progress: pieceCount === 0 ? 0 : wire.peerPieceTotal / pieceCount,
      downloaded: this.down.total,
      uploaded: this.up.total,
      downloadSpeed: this.down.rate(now),
      uploadSpeed: this.up.rate(now),
      peerChoking: wire.peerChoking,
      amChoking: wire.amChoking,
      peerInterested: wire.peerInterested,
      amInterested: wire.amInterested,
      uploadOnly: this.uploadOnly,
      requests: load?.requests ?? 0,
      piece: load?.piece
    }
  }
}
