import type { DuplexEvents } from 'streamx'
import type { ExtendedHandshake } from './extended-handshake.ts'
import type { WireLimits } from './limits.ts'

/** Contents of a peer's handshake (BEP 3). The receiver owns the byte arrays. */
export interface Handshake {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  /** 20 bytes. */
  readonly peerId: Uint8Array
  /** Whether both sides speak the fast extension (BEP 6). */
  readonly fast: boolean
  /** Whether both sides speak the extension protocol (BEP 10). */
  readonly extended: boolean
  /** Whether the peer runs a DHT node (BEP 5). */
  readonly dht: boolean
}

/** Events of a {@link Wire}, in addition to those of a Duplex. */
export interface WireEvents extends DuplexEvents {
  /** The peer's handshake arrived; emitted before any other message. */
  handshake: [handshake: Handshake]
  /** The peer chokes us. Without the fast extension, it has dropped our requests. */
  choke: []
  /** The peer unchoked us. */
  unchoke: []
  /** The peer became interested in our pieces. */
  interested: []
  /** The peer lost interest in our pieces. */
  'not-interested': []
  /** The peer has a new piece. */
  have: [piece: number]
  /** The peer lost a piece (BEP 54); requires the `DontHaveExtension`. */
  'dont-have': [piece: number]
  /** `peerPieces` changed in bulk: bitfield, have all, have none, or the piece count became known. */
  bitfield: []
  /** The peer sent a valid request: answer with `piece` or `reject`. */
  request: [piece: number, offset: number, length: number]
  /** The peer cancelled a queued request, which the wire has removed. */
  cancel: [piece: number, offset: number, length: number]
  /** A block arrived. `data` is borrowed for the call, unless `owned`: then it is the memory from `blockTarget`. */
  piece: [piece: number, offset: number, data: Uint8Array, owned: boolean]
  /** The peer rejected our request (BEP 6). */
  reject: [piece: number, offset: number, length: number]
  /** The peer suggests that we request this piece (BEP 6). */
  suggest: [piece: number]
  /** We may request this piece even while the peer chokes us (BEP 6). */
  'allowed-fast': [piece: number]
  /** The UDP port of the peer's DHT node (BEP 5). */
  port: [port: number]
  /** An extended handshake arrived (BEP 10). */
  'extended-handshake': [handshake: ExtendedHandshake]
  /** A keep-alive arrived. */
  'keep-alive': []
  /** After `receive` returned false: call it again. */
  receivable: []
  /** After `piece` returned false: more answers are accepted. */
  sendable: []
}

/** Options of a {@link Wire}. */
export interface WireOptions {
  /** Use the fast extension (BEP 6); true by default. */
  readonly fast?: boolean | undefined
  /** Use the extension protocol (BEP 10); true by default. */
  readonly extended?: boolean | undefined
  /** Announce a DHT node (BEP 5); false by default. */
  readonly dht?: boolean | undefined
  /** Piece count, if it is known; otherwise call {@link Wire.setPieceCount} later. */
  readonly pieceCount?: number | undefined
  /** Length of each piece except the last, in bytes. */
  readonly pieceLength?: number | undefined
  /** Length of the torrent, in bytes. */
  readonly totalLength?: number | undefined
  /** Maximum queued requests of the peer, advertised as `reqq`; 2000 by default. */
  readonly requestQueue?: number | undefined
  /** Overrides of the default limits. */
  readonly limits?: Partial<WireLimits> | undefined
}
