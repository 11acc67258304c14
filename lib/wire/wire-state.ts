import type BitField from 'bitfield'
import { Duplex } from 'streamx'
import type { ExtendedHandshake } from './extended-handshake.ts'
import type { OwnState } from './own-state.ts'
import type { PeerState } from './peer-state.ts'
import type { WireEvents } from './wire-events.ts'

let lastId = 0

/** The state of both sides of a wire, to be read only. */
export abstract class WireState extends Duplex<WireEvents> {
  /** Names the wire in logs. */
  readonly id: number
  readonly #own: OwnState
  readonly #peer: PeerState

  /** A view of the state that the parts of the wire keep. */
  constructor(id: number, own: OwnState, peer: PeerState) {
    super({ highWaterMark: 1 })
    this.id = id
    this.#own = own
    this.#peer = peer
  }

  /** Whether we choke the peer: it may not request. */
  get amChoking(): boolean {
    return this.#own.choking
  }

  /** Whether we told the peer that we want its pieces. */
  get amInterested(): boolean {
    return this.#own.interested
  }

  /** Whether the peer chokes us. */
  get peerChoking(): boolean {
    return this.#peer.choking
  }

  /** Whether the peer wants our pieces. */
  get peerInterested(): boolean {
    return this.#peer.interested
  }

  /** The 20 bytes of the peer's id, undefined before its handshake. */
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

  /** The pieces that the peer has; to be read only, and replaced by another object in `setPieceCount`. */
  get peerPieces(): BitField {
    return this.#peer.pieces.field
  }

  /** How many pieces the peer has. */
  get peerPieceTotal(): number {
    return this.#peer.pieces.total
  }

  /** Whether the peer has all pieces. */
  get peerSeeding(): boolean {
    return this.#peer.pieces.seeding
  }

  /** The peer's extended handshake, the last one if there were several. */
  get peerHandshake(): ExtendedHandshake | undefined {
    return this.#peer.remote
  }

  /** How many requests the peer queues: its `reqq`, or 250. */
  get peerMaxRequests(): number {
    return this.#peer.maxRequests
  }

  /** Bytes of whole blocks received. */
  get blockBytesReceived(): number {
    return this.#peer.blockBytes
  }
}

/** The id of a new wire. */
export function nextWireId(): number {
  return ++lastId
}
