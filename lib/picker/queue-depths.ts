import { blockLength } from '../util/block-length.ts'
import type { PeerState } from './peer-state.ts'

/** Maximum request queue depth of a peer, whatever it allows: 8 MiB, one second at about 67 Mbit/s. */
export const maxDepth = 512
/** Number of blocks (640 KiB) that are shared out among the peers while their speed is unknown, and the minimum for each of them. */
const firstBlocks = 40
const minFirst = 2
/**
 * Length of a request queue in milliseconds while no stream needs a missing piece within 5 s (`QueueFiller.isHungry`): long enough for a
 * sender that answers in bursts.
 */
export const deepMs = 1500
/**
 * The same while a stream needs a missing piece within 5 s. An urgent block waits behind at most this plus a quarter of the round trip;
 * `room` adds the quarter so that the link does not idle when the delay varies.
 */
export const shallowMs = 60
/** While memory is short, queues shrink by this factor at these intervals, so that it lasts for all peers. Later they grow again. */
const shorterBy = 0.7
const shorterEveryMs = 100
const longerBy = 1.1
const longerEveryMs = 200

/** Decides the request queue depth of each peer: enough to keep its link full, without starving others. */
export class QueueDepths {
  /** Current length of a queue in milliseconds while no stream needs a missing piece within 5 s (`QueueFiller.isHungry`). */
  #deepMs = deepMs
  #changedAt = 0

  /** Returns how many more requests fit into a peer's queue; may be negative. `peerCount` is the number of connected peers. */
  room(peer: PeerState, peerCount: number, hungry: boolean): number {
    const { link, outstanding, depth, maxRequests } = peer
    if (peer.snubbed) return outstanding.length === 0 ? 1 : 0
    if (link.samples === 0) {
      // The speed is unknown: the first blocks are spread over all peers.
      const share = Math.ceil(firstBlocks / peerCount)
      return Math.min(Math.max(minFirst, share), depth, maxRequests) - outstanding.length
    }
    const lasts = link.latencyMs + (hungry ? shallowMs + link.latencyMs / 4 : this.#deepMs)
    const target = Math.max(2, Math.ceil((link.bytesPerMs * lasts) / blockLength) + 1)
    return Math.min(target, depth, maxRequests, maxDepth) - outstanding.length
  }

  /**
   * Whether `room` justifies a refill. Queues are refilled in batches, for fewer and larger writes and fewer runs of `UrgentPlan`. Batches
   * are smaller while a stream needs a missing piece within 5 s.
   */
  isWorthwhile(room: number, { outstanding }: PeerState, hungry: boolean): boolean {
    return room > outstanding.length >> (hungry ? 3 : 1)
  }

  /** Whether a peer that would send blocks has so few requests that it will soon be idle. */
  isDry({ link, outstanding, interested, snubbed, servesAny }: PeerState): boolean {
    if (!interested || snubbed || !servesAny) return false
    return outstanding.length * blockLength < link.bytesPerMs * (link.latencyMs + shallowMs)
  }

  /** Shortens the queues while memory is short, so that a few deep ones do not take the memory that other peers need. */
  adapt(isShort: boolean, now: number): void {
    if (!isShort && this.#deepMs === deepMs) return
    if (now < this.#changedAt + (isShort ? shorterEveryMs : longerEveryMs)) return
    this.#changedAt = now
    this.#deepMs = isShort
      ? Math.max(shallowMs, this.#deepMs * shorterBy)
      : Math.min(deepMs, this.#deepMs * longerBy)
  }
}
