import { blockLength } from '../util/block-length.ts'
import { debug } from '../util/debug.ts'
import { cancelWhere } from './cancels.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'

const log = debug('late')

/** A peer that owes a block for this long past its estimate, at least, is snubbed. */
const minSnubMs = 4000
const maxSnubMs = 60_000
/** A peer in whose place others had to bring so many blocks in a row is snubbed after this time or a round trip already. */
const maxRescued = 4
const rescuedSnubMs = 500
/** Of a large swarm not all are looked at each time: so many for each millisecond that has passed, and each within this time. */
const looksPerMs = 5
const maxLookMs = 2000

/** Judges the peers that owe us blocks. */
export class Lateness {
  readonly #state: DownloadState
  /** When all peers were last looked at. */
  #lookedAt = Number.NEGATIVE_INFINITY

  /** Looks at nobody yet. */
  constructor(state: DownloadState) {
    this.#state = state
  }

  /** Whether it is time to look. */
  isDue(now: number): boolean {
    return now >= this.#lookedAt + Math.min(maxLookMs, this.#state.readiness.busy.size / looksPerMs)
  }

  /** Snubs peers that owe a block for too long, and gives up what they owe for longer still. */
  look(now: number): void {
    const state = this.#state
    this.#lookedAt = now
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
        // It may have lost the request. The next one is given up later, so that a silent peer costs ever less.
        if (log.enabled) logLate(peer, overdue, 'has its requests cancelled')
        peer.strikes = Math.min(peer.strikes + 1, 8)
        cancelWhere(state, peer, () => true, now)
      }
    }
  }

  /** A peer delivers nothing: only its oldest block is still waited for, and others may bring that too. */
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
