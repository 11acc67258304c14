import { LazySet } from '../util/lazy-collections.ts'
import type { PeerState } from './peer-state.ts'

/** Which peers are to be looked at for further requests, so that no decision looks at all of them. */
export class Readiness {
  /** Peers that are asked for something, in the order in which they were last asked while idle; also some that are no longer. */
  readonly busy: LazySet<PeerState> = new LazySet()
  /** Peers that may take more in the background, though no block of theirs has come: they lost requests, or there is new work. */
  readonly ready: LazySet<PeerState> = new LazySet()
  /** Peers for which the last search found nothing. */
  readonly starved: LazySet<PeerState> = new LazySet()
  /** Whether a peer has come, gone, choked or unchoked since the swarm's fastest were last looked for. */
  peersChanged = true

  /** Forgets a peer. */
  removePeer(peer: PeerState): void {
    this.busy.delete(peer)
    this.ready.delete(peer)
    this.starved.delete(peer)
    this.peersChanged = true
  }

  /** There may be something for a peer again. */
  feed(peer: PeerState): void {
    peer.starved = false
    this.starved.delete(peer)
    this.ready.add(peer)
  }

  /** The search for a peer has found nothing: it is not repeated until something changes. */
  starve(peer: PeerState): void {
    peer.starved = true
    this.starved.add(peer)
  }

  /** All partial pieces get a new look from every peer. */
  unstarve(): void {
    for (const peer of this.starved) {
      peer.starved = false
      this.ready.add(peer)
    }
    this.starved.clear()
  }
}
