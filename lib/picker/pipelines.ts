import { blockLength } from '../util/block-length.ts'
import type { PeerState } from './peer-state.ts'

/** Requests that one peer may have outstanding, whatever it allows: 8 MiB, a second of half a gigabit. */
export const maxDepth = 512
/** Blocks that peers of which nothing is known share, much of a first MiB, and the least that one of them is asked for. */
const firstBlocks = 40
const minFirst = 2
/** How long the pipeline of a peer lasts while no stream is hungry: long enough for a sender that answers in bursts. */
export const deepMs = 1500
/** The same while a stream waits: an urgent block must not queue behind more than this and a quarter of the round trip, as delays vary. */
export const shallowMs = 60
/** While memory is short, pipelines get shorter by this factor, at most so often, so that it lasts for all peers; and slowly longer again. */
const shorterBy = 0.7
const shorterEveryMs = 100
const longerBy = 1.1
const longerEveryMs = 200

/** How many blocks a peer should be asked for at a time: enough to keep its link full, and no more than others can spare. */
export class Pipelines {
  /** How long they last now while no stream is hungry. */
  #deepMs = deepMs
  #changedAt = 0

  /** How many more requests the pipeline of one of so many peers holds; may be negative. */
  room(peer: PeerState, peerCount: number, hungry: boolean): number {
    const { link, outstanding, depth, maxRequests } = peer
    if (peer.snubbed) return outstanding.length === 0 ? 1 : 0
    if (link.samples === 0) {
      // Nothing is known yet: the first blocks are spread over all who are there.
      const share = Math.ceil(firstBlocks / peerCount)
      return Math.min(Math.max(minFirst, share), depth, maxRequests) - outstanding.length
    }
    const lasts = link.latencyMs + (hungry ? shallowMs + link.latencyMs / 4 : this.#deepMs)
    const target = Math.max(2, Math.ceil((link.bytesPerMs * lasts) / blockLength) + 1)
    return Math.min(target, depth, maxRequests, maxDepth) - outstanding.length
  }

  /**
   * Whether so much room is worth topping up: pipelines are filled in batches, for fewer and larger writes, and fewer plans; in smaller
   * ones while a stream waits.
   */
  isWorthwhile(room: number, { outstanding }: PeerState, hungry: boolean): boolean {
    return room > outstanding.length >> (hungry ? 3 : 1)
  }

  /** Whether a peer that would send something has so little to do that it would soon stand still. */
  isDry({ link, outstanding, interested, snubbed, servesAny }: PeerState): boolean {
    if (!interested || snubbed || !servesAny) return false
    return outstanding.length * blockLength < link.bytesPerMs * (link.latencyMs + shallowMs)
  }

  /** Deep pipelines of some must not take the memory that others need to keep busy: to be told whether some do not get it. */
  adapt(isShort: boolean, now: number): void {
    if (!isShort && this.#deepMs === deepMs) return
    if (now < this.#changedAt + (isShort ? shorterEveryMs : longerEveryMs)) return
    this.#changedAt = now
    this.#deepMs = isShort
      ? Math.max(shallowMs, this.#deepMs * shorterBy)
      : Math.min(deepMs, this.#deepMs * longerBy)
  }
}
