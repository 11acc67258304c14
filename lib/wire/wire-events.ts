import type { DuplexEvents } from 'streamx'
import type { ExtendedHandshake } from './extended-handshake.ts'
import type { WireLimits } from './limits.ts'

/** The contents of a peer's handshake (BEP 3), the byte arrays for the receiver to keep. */
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

/** The events of a {@link Wire}, besides those of a Duplex. */
export interface WireEvents extends DuplexEvents {
  /** The peer's handshake, before any other message of it. */
  handshake: [handshake: Handshake]
  /** The peer chokes us; one that does not speak the fast extension has forgotten our requests. */
  choke: []
  unchoke: []
  interested: []
  'not-interested': []
  /** The peer got a piece that it did not have. */
  have: [piece: number]
  /** The peer has lost a piece that it had (BEP 54); comes with the `DontHaveExtension` alone. */
  'dont-have': [piece: number]
  /** `peerPieces` changed in bulk: bitfield, have all, have none, or the count of pieces became known. */
  bitfield: []
  /** The peer asks for a block, within the limits and while it may: answer with `piece` or `reject`. */
  request: [piece: number, offset: number, length: number]
  /** The peer cancels a request that was not answered yet; nothing more is to be done. */
  cancel: [piece: number, offset: number, length: number]
  /** A block. Borrowed for the call, unless `owned`: then it is the memory that `blockTarget` gave. */
  piece: [piece: number, offset: number, data: Uint8Array, owned: boolean]
  /** The peer will not answer this request (BEP 6). */
  reject: [piece: number, offset: number, length: number]
  /** The peer would like us to ask for this piece (BEP 6). */
  suggest: [piece: number]
  /** The peer answers requests for this piece even while it chokes us (BEP 6). */
  'allowed-fast': [piece: number]
  /** The UDP port of the peer's DHT node (BEP 5). */
  port: [port: number]
  'extended-handshake': [handshake: ExtendedHandshake]
  'keep-alive': []
  /** After `receive` returned false: it may go on. */
  receivable: []
  /** After `piece` returned false: more answers may be queued. */
  sendable: []
}

/** Options of a {@link Wire}. */
export interface WireOptions {
  /** Speak the fast extension (BEP 6); true by default. */
  readonly fast?: boolean | undefined
  /** Speak the extension protocol (BEP 10); true by default. */
  readonly extended?: boolean | undefined
  /** Announce a DHT node (BEP 5); false by default. */
  readonly dht?: boolean | undefined
  /** The number of pieces, when it is known already; see {@link Wire.setPieceCount}. */
  readonly pieceCount?: number | undefined
  /** The length of all pieces but the last, in bytes. */
  readonly pieceLength?: number | undefined
  /** The length of the torrent, in bytes. */
  readonly totalLength?: number | undefined
  /** How many requests of the peer are kept and advertised; 2000 by default. */
  readonly requestQueue?: number | undefined
  /** Other bounds than the default ones. */
  readonly limits?: Partial<WireLimits> | undefined
}
