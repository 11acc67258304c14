import type { Outcome } from '../discovery/back-off.ts'
import type { Peer } from './peer.ts'

/** A peer that is silent for this long is gone (BEP 3 asks for a keep-alive every two minutes). */
const silenceMs = 130_000
/** How long we are silent at most. */
const keepAliveMs = 100_000

/** One connected peer as the peer manager sees it. */
export class Member {
  readonly peer: Peer
  /** Gives its place back at once, before its wire has closed; idempotent. */
  readonly release: () => void
  /** Ends its claim to a place that its network may have to give up. */
  leaveSeat: (() => void) | undefined
  /** Whether it has dialled us, and its `address` is where it listens. */
  listens = false
  /** Whether that address counts as connected by this connection and no other. */
  claims = false
  /** Whether neither side needs the other any more. */
  unneeded = false
  /** Bytes received and sent up to the last look, and when they last changed. */
  #received = 0
  #heardAt: number
  #sent = 0
  #spokeAt: number

  constructor(peer: Peer, release: () => void) {
    this.peer = peer
    this.release = release
    this.#heardAt = this.#spokeAt = peer.connectedAt
  }

  /** Looks whether anything was said since the last time: whether the peer is silent for too long, or we are about to be. */
  look(now: number): 'silent' | 'keep alive' | undefined {
    const { received, sent } = this.peer.wire
    if (received !== this.#received) this.#heardAt = now
    if (sent !== this.#sent) this.#spokeAt = now
    this.#received = received
    this.#sent = sent
    if (now - this.#heardAt > silenceMs) return 'silent'
    return now - this.#spokeAt > keepAliveMs ? 'keep alive' : undefined
  }

  /** How the connection ended. */
  get outcome(): Outcome {
    if (this.unneeded) return 'uninteresting'
    if (this.peer.down.total > 0) return 'useful'
    // A peer that is not complete and has left may come to need us again, as one that had come for the metadata alone.
    const { wire } = this.peer
    return wire.amInterested || !wire.peerSeeding ? 'useless' : 'uninteresting'
  }
}
