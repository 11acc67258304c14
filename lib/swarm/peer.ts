import { holderOf, hostKey } from '../discovery/address-scope.ts'
import type { PeerSource } from '../discovery/peer-source.ts'
import type { Connection } from '../net/connection.ts'
import { formatAddress, isLoopback, type PeerAddress } from '../util/address.ts'
import { toHex } from '../util/bytes.ts'
import type { PeerNumber } from '../util/indices.ts'
import { Meter } from '../util/meter.ts'
import { clientName } from '../wire/client-name.ts'
import { DontHaveExtension } from '../wire/lt-donthave.ts'
import { UploadOnlyExtension } from '../wire/upload-only.ts'
import type { Wire } from '../wire/wire.ts'
import type { PeerConnection } from './pending-handshakes.ts'

/** Round trip that is assumed of a peer until the picker has measured its own. */
const guessedLatencyMs = 100

/** One connected peer as callers see it; a snapshot of this moment. */
export interface PeerInfo {
  /** `host:port` of the connection. */
  readonly address: string
  /** Name of its client, if it tells. */
  readonly client: string | undefined
  /** 20 bytes in hexadecimal. */
  readonly peerId: string
  /** Whether the peer has dialled us. */
  readonly incoming: boolean
  /** The source that named the peer, or `incoming` when it has dialled us. */
  readonly source: PeerSource
  /** Part of the torrent that it has, 0 to 1. */
  readonly progress: number
  /** Payload bytes that came from it and went to it. */
  readonly downloaded: number
  readonly uploaded: number
  /** Payload bytes per second. */
  readonly downloadSpeed: number
  readonly uploadSpeed: number
  /** Whether it chokes us, and we it. */
  readonly peerChoking: boolean
  readonly amChoking: boolean
  /** Whether it wants something of us, and we of it. */
  readonly peerInterested: boolean
  readonly amInterested: boolean
  /** Whether it will not download any more: a seed, or one that has all that it wants (BEP 21). */
  readonly uploadOnly: boolean
  /** Blocks that it is asked for. */
  readonly requests: number
  /** The piece that it sends a block of, else the one of its oldest request; undefined when it is asked for nothing. */
  readonly piece: number | undefined
}

/** The requests to a peer, see {@link PeerInfo}. */
export type PeerLoad = Pick<PeerInfo, 'requests' | 'piece'>

/** A connected peer: its wire, its connection, and what is counted of it. */
export class Peer {
  readonly id: PeerNumber
  readonly wire: Wire
  readonly connection: Connection
  /** Where it listens as far as we know, else where it comes from. */
  address: PeerAddress
  readonly source: PeerSource
  readonly peerId: string
  readonly connectedAt: number
  /** The name by which it is banned: the host, in IPv6 by its /64. On loopback many peers share one, so there the port counts too. */
  readonly banKey: string
  /** The holder of its address; undefined in local networks. */
  readonly holder: string | undefined
  readonly down: Meter = new Meter()
  readonly up: Meter = new Meter()
  /** Round trip in milliseconds; a guess for a peer that has dialled us. */
  readonly latencyMs: number
  /** By which each side tells what it has lost (BEP 54). */
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
    this.holder = holderOf(remote.host)
    this.connectedAt = now
  }

  /** Whether it will not download any more: it said so (BEP 21), or has everything. */
  get uploadOnly(): boolean {
    return this.#uploadOnly.uploadOnly || this.wire.peerSeeding
  }

  /** Tells the peer whether we will download any more (BEP 21). */
  tellUploadOnly(uploadOnly: boolean): void {
    this.#uploadOnly.send(uploadOnly)
  }

  /** A snapshot for callers; `load` is undefined where nothing is known of the data yet. */
  info(now: number, load: PeerLoad | undefined, pieceCount: number): PeerInfo {
    const { wire } = this
    return {
      address: formatAddress(this.connection.remote),
      client: wire.peerHandshake?.version ?? clientName(wire.peerId ?? new Uint8Array()),
      peerId: this.peerId,
      incoming: this.connection.incoming,
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
