import type BitField from 'bitfield'
import { Duplex } from 'streamx'
import type { ExtendedHandshake } from './extended-handshake.ts'
import type { OwnState } from './own-state.ts'
import type { PeerState } from './peer-state.ts'
import type { WireEvents } from './wire-events.ts'

let lastId = 0

/** Read-only state of both sides of a wire. */
export abstract class WireState extends Duplex<WireEvents> {
  /** Identifies the wire in logs. */
  readonly id: number
  readonly #own: OwnState
  readonly #peer: PeerState

  /** Creates a view of the state that the parts of the wire write. */
  constructor(id: number, own: OwnState, peer: PeerState) {
    super({ highWaterMark: 1 })
    this.id = id
    this.#own = own
    this.#peer = peer
  }

  /** Whether we choke the peer. */
  get amChoking(): boolean {
    return this.#own.choking
  }

  /** Whether we are interested in the peer's pieces. */
  get amInterested(): boolean {
    return this.#own.interested
  }

  /** Whether the peer chokes us. */
  get peerChoking(): boolean {
    return this.#peer.choking
  }

  /** Whether the peer is interested in our pieces. */
  get peerInterested(): boolean {
    return this.#peer.interested
  }

  /** The peer id, 20 bytes; undefined before its handshake. */
  get peerId(): Uint8Array | undefined {
    return this.#peer.peerId
  }

  /** Whether both sides speak the fast extension (BEP 6). */
  get peerFast(): boolean {
    return this.#peer.fast
  }

  /** Whether both sides speak the extension protocol (BEP 10). */
  get peerExtended(): boolean {
    return this.#peer.extended
  }

  /** Whether the peer announced a DHT node (BEP 5). */
  get peerDht(): boolean {
    return this.#peer.dht
  }

  /** The pieces that the peer has. Read only; `setPieceCount` replaces the object. */
  get peerPieces(): BitField {
    return this.#peer.pieces.field
  }

  /** Number of pieces that the peer has. */
  get peerPieceTotal(): number {
    return this.#peer.pieces.total
  }

  /** Whether the peer has all pieces. */
  get peerSeeding(): boolean {
    return this.#peer.pieces.seeding
  }

  /** The peer's latest extended handshake, or undefined. */
  get peerHandshake(): ExtendedHandshake | undefined {
    return this.#peer.remote
  }

  /** Length of the peer's request queue: its `reqq`, or 250. */
  get peerMaxRequests(): number {
    return this.#peer.maxRequests
  }

  /** Bytes of complete blocks received. */
  get blockBytesReceived(): number {
    return this.#peer.blockBytes
  }
}

/** Returns the id for a new wire. */
export function nextWireId(): number {
  return ++lastId
}
