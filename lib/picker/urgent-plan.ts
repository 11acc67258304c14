import type { DownloadState } from './download-state.ts'
import { blockState, type PartialPiece } from './partial-piece.ts'
import type { PeerState } from './peer-state.ts'
import type { UrgentPiece } from './windows.ts'

/** How far one plan looks, in blocks; enough to fill every pipeline while windows are hungry. */
const maxBlocks = 1024
/** Late blocks are looked for in this many pieces, those that are needed first. */
const maxRescued = 4
/** A late block may have this many requesters. */
const maxRequesters = 3

interface Runner {
  readonly peer: PeerState
  /** When the next block given to this peer would be here. */
  eta: number
  readonly blockMs: number
  room: number
}

/**
 * Gives the blocks of the windows, in order of deadline, each to the peer that would deliver it first, and asks for
 * those that fit into that peer's pipeline now. A block that is better left to a faster peer is left, so it neither
 * waits in a slow queue nor fills a fast one. A block that is late at its peer is asked of a second one.
 */
export function planUrgent(
  state: DownloadState,
  urgent: readonly UrgentPiece[],
  roomOf: (peer: PeerState) => number,
  now: number
): void {
  const runners: Runner[] = []
  let room = 0
  for (const peer of state.peers.values()) {
    if (state.wantedOf(peer) === 0 || !peer.servesAny) continue
    const free = Math.max(0, roomOf(peer))
    runners.push({ peer, eta: peer.etaOfNext(16384, now), blockMs: 16384 / peer.link.bytesPerMs, room: free })
    room += free
  }
  let looked = 0
  for (const [rank, { piece, deadline }] of urgent.entries()) {
    if (room === 0 || looked > maxBlocks) return
    let partial = state.partials.get(piece)
    const rescues = rank < maxRescued
    if (partial !== undefined && (partial.complete || (partial.free === 0 && !rescues))) continue
    let able = ableTo(runners, piece, partial)
    if (able.length === 0) continue
    const blockCount = state.layout.blockCount(piece)
    for (let block = 0; room > 0; block++) {
      block = partial === undefined ? block : partial.nextFree(block)
      if (block < 0 || block >= blockCount) break
      if (++looked > maxBlocks) return
      const best = fastest(able)
      if (best === undefined) break
      if (best.room > 0) {
        if (partial === undefined) {
          partial = state.open(piece, true)
          // Pieces further on that have their memory go on, and give it back.
          if (partial === undefined) break
          if (best.peer.suspect) {
            partial.soleOwner = best.peer.id
            able = [best]
          }
          // Blocks that are in storage are not asked for.
          block = partial.nextFree(block)
          if (block < 0) break
        }
        state.request(best.peer, partial, block, now)
        best.room--
        room--
      }
      best.eta += best.blockMs
    }
    if (!rescues || partial === undefined) continue
    for (let block = 0; block < blockCount && room > 0; block++) {
      if (partial.states[block] !== blockState.requested) continue
      if (rescue(state, partial, block, able, deadline, now)) room--
    }
  }
}

/**
 * Who may be asked for a piece. A peer that is snubbed or under suspicion only where nobody else would send it, and then a
 * suspect alone; a trial of a suspect ends when a reader needs the piece.
 */
function ableTo(runners: readonly Runner[], piece: number, partial: PartialPiece | undefined): Runner[] {
  const able = runners.filter(({ peer }) => peer.serves(piece))
  const trusted = able.filter(({ peer }) => !peer.suspect && !peer.snubbed)
  if (trusted.length > 0) {
    if (partial !== undefined) partial.soleOwner = -1
    return trusted
  }
  const owner = able.filter(({ peer }) => peer.id === partial?.soleOwner)
  return owner.length > 0 ? owner : able
}

function fastest(runners: readonly Runner[]): Runner | undefined {
  let best: Runner | undefined
  for (const runner of runners) if (best === undefined || runner.eta < best.eta) best = runner
  return best
}

/** Who brings a block soonest of those who have delivered before and are not asked for it: a promise is no rescue. */
function rescuer(runners: readonly Runner[], piece: number, block: number): Runner | undefined {
  let best: Runner | undefined
  for (const runner of runners) {
    if (runner.room === 0 || (best !== undefined && runner.eta >= best.eta)) continue
    if (runner.peer.link.samples > 0 && runner.peer.indexOf(piece, block) < 0) best = runner
  }
  return best
}

/** Asks a second peer for a block that its first one will bring late, where that gains enough. */
function rescue(
  state: DownloadState,
  partial: PartialPiece,
  block: number,
  able: readonly Runner[],
  deadline: number,
  now: number
): boolean {
  const owner = state.peers.get(partial.by[block] ?? -1)
  if (owner === undefined || state.requesters(partial, block) >= maxRequesters) return false
  const index = owner.indexOf(partial.piece, block)
  const request = owner.outstanding[index]
  if (request === undefined) return false
  const ownerEta = owner.etaOf(index, now)
  const age = now - request.sentAt
  if (ownerEta <= deadline || age < Math.max(30, owner.link.latencyMs)) return false
  const best = rescuer(able, partial.piece, block)
  if (best === undefined || (best.eta - now) * 1.5 + 30 >= ownerEta - now) return false
  state.request(best.peer, partial, block, now)
  best.room--
  best.eta += best.blockMs
  return true
}
