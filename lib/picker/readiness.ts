import { LazySet } from '../util/lazy-collections.ts'
import type { PeerState } from './peer-state.ts'

/** Tracks which peers may take more requests, so that no decision looks at all peers. */
export class Readiness {
  /** Peers with outstanding requests, those that have been busy longest first. May include peers that have become idle. */
  readonly busy: LazySet<PeerState> = new LazySet()
  /** Peers that may take more background requests although no block of theirs has arrived: they lost requests, or there is new work. */
  readonly ready: LazySet<PeerState> = new LazySet()
  /** Peers for which the last search found nothing. */
  readonly starved: LazySet<PeerState> = new LazySet()
  /** Whether a peer has come, gone, choked or unchoked since the fastest peers were last determined. */
  peersChanged = true

  removePeer(peer: PeerState): void {
    this.busy.delete(peer)
    this.ready.delete(peer)
    this.starved.delete(peer)
    this.peersChanged = true
  }

  /** Marks a peer as ready, because there may be new work for it. */
  feed(peer: PeerState): void {
    peer.starved = false
    this.starved.delete(peer)
    this.ready.add(peer)
  }

  /** Marks a peer as starved: its search found nothing and is not repeated until something changes. */
  starve(peer: PeerState): void {
    peer.starved = true
    this.starved.add(peer)
  }

  /** Marks all starved peers as ready. */
  unstarve(): void {
    for (const peer of this.starved) {
      peer.starved = false
      this.ready.add(peer)
    }
    this.starved.clear()
  }
}
