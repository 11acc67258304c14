import type { Outcome } from '../discovery/back-off.ts'
import type { Peer } from './peer.ts'

/** Milliseconds of silence after which a peer is considered dead (BEP 3 asks for a keep-alive every two minutes). */
const silenceMs = 130_000
/** Milliseconds without sending after which we send a keep-alive. */
const keepAliveMs = 100_000

/** The peer manager's record of one connected peer. */
export class Member {
  readonly peer: Peer
  /** Stops counting the connection against the limits at once, even before the wire has closed; idempotent. */
  readonly release: () => void
  /** Removes the connection from the count of its network. */
  uncount: (() => void) | undefined
  /** Whether it dialled us and has told its listening port, so that `address` can be dialled. */
  listens = false
  /** Whether the address book counts `address` as connected because of this connection. */
  marksConnected = false
  /** Whether we disconnected it without a fault of either side. */
  unneeded = false
  /** Bytes received and sent at the last `look`, and when the counts last changed. */
  #received = 0
  #heardAt: number
  #sent = 0
  #spokeAt: number

  constructor(peer: Peer, release: () => void) {
    this.peer = peer
    this.release = release
    this.#heardAt = this.#spokeAt = peer.connectedAt
  }

  /** Compares the byte counts with the last call: returns whether the peer is dead or a keep-alive is due. */
  look(now: number): 'silent' | 'keep alive' | undefined {
    const { received, sent } = this.peer.wire
    if (received !== this.#received) this.#heardAt = now
    if (sent !== this.#sent) this.#spokeAt = now
    this.#received = received
    this.#sent = sent
    if (now - this.#heardAt > silenceMs) return 'silent'
    return now - this.#spokeAt > keepAliveMs ? 'keep alive' : undefined
  }

  /** The outcome of the connection, for the address book's back-off. */
  get outcome(): Outcome {
    if (this.unneeded) return 'uninteresting'
    if (this.peer.down.total > 0) return 'useful'
    // An incomplete peer may need us again, for example after it fetched only the metadata; `useless` is retried sooner than `uninteresting`.
    const { wire } = this.peer
    return wire.amInterested || !wire.peerSeeding ? 'useless' : 'uninteresting'
  }
}
