import { blockLength } from '../util/block-length.ts'
import { debug } from '../util/debug.ts'
import { cancelWhere } from './cancels.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'

const log = debug('late')

/** Minimum time past its estimate after which an owed block makes a peer snubbed. */
const minSnubMs = 4000
const maxSnubMs = 60_000
/**
 * After other peers delivered this many blocks that the peer owed, without one from it in between, `rescuedSnubMs` or one round trip
 * applies, whichever is longer.
 */
const maxRescued = 4
const rescuedSnubMs = 500
/** In a large swarm, checks are spaced out: this many peers per elapsed millisecond, but at least one check per `maxLookMs`. */
const looksPerMs = 5
const maxLookMs = 2000

/** Finds peers that owe blocks for too long. */
export class SnubDetector {
  readonly #state: DownloadState
  /** Time of the last check. */
  #checkedAt = Number.NEGATIVE_INFINITY

  constructor(state: DownloadState) {
    this.#state = state
  }

  /** Whether the next check is due. */
  isDue(now: number): boolean {
    return now >= this.#checkedAt + Math.min(maxLookMs, this.#state.readiness.busy.size / looksPerMs)
  }

  /** Marks peers with overdue blocks as snubbed, and cancels the requests of those that stay overdue. */
  check(now: number): void {
    const state = this.#state
    this.#checkedAt = now
    state.looked(state.readiness.busy.size)
    for (const peer of state.readiness.busy) {
      if (peer.outstanding.length === 0) {
        state.readiness.busy.delete(peer)
        continue
      }
      const typical = 4 * (peer.link.latencyMs + blockLength / peer.link.bytesPerMs)
      const patience = Math.min(maxSnubMs, Math.max(minSnubMs, typical))
      const overdue = peer.link.overdueMs(now)
      const isRescued = peer.rescued >= maxRescued
      if (overdue < (isRescued ? Math.max(rescuedSnubMs, peer.link.latencyMs) : patience)) continue
      if (!peer.owing) {
        if (log.enabled) logLate(peer, overdue, 'is snubbed')
        this.#snub(peer, now)
      } else if (overdue >= Math.min(maxSnubMs, patience * 2 ** (peer.strikes + 1))) {
        // The peer may have lost the request. The limit doubles each time, so that a silent peer costs less and less.
        if (log.enabled) logLate(peer, overdue, 'has its requests cancelled')
        peer.strikes = Math.min(peer.strikes + 1, 8)
        cancelWhere(state, peer, () => true, now)
      }
    }
  }

  /** Marks a peer as snubbed: cancels all its requests but the oldest, and lets other peers be asked for that one too. */
  #snub(peer: PeerState, now: number): void {
    const state = this.#state
    peer.snubbed = true
    peer.owing = true
    peer.depth = 1
    cancelWhere(state, peer, (_, index) => index > 0, now)
    const head = peer.outstanding.at(0)
    if (head !== undefined) state.release(peer.id, head.piece, head.block)
    state.releaseSole(peer)
  }
}

function logLate({ id, outstanding }: PeerState, overdueMs: number, end: string): void {
  const { piece = -1, block = -1 } = outstanding.at(0) ?? {}
  log('peer %d %s: piece %d block %d is %d ms overdue', id, end, piece, block, Math.round(overdueMs))
}
