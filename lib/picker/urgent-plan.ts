import type { DownloadState } from './download-state.ts'
import { blockState, type PartialPiece } from './partial-piece.ts'
import type { PeerState } from './peer-state.ts'
import type { UrgentPiece } from './windows.ts'

/** How far one plan looks, in blocks; enough to fill every pipeline while windows are hungry. */
const maxBlocks = 1024
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
    if (peer.snubbed || state.wantedOf(peer) === 0 || (peer.choked && peer.allowedFast.size === 0)) continue
    const free = roomOf(peer)
    runners.push({ peer, eta: peer.etaOfNext(16384, now), blockMs: 16384 / peer.link.bytesPerMs, room: free })
    room += free
  }
  let looked = 0
  for (const [rank, { piece, deadline }] of urgent.entries()) {
    if (room === 0 || looked > maxBlocks) return
    let partial = state.partials.get(piece)
    if (partial?.complete) continue
    const able = runners.filter(({ peer }) => suits(peer, piece, partial))
    if (able.length === 0) continue
    const blockCount = state.layout.blockCount(piece)
    for (let block = 0; block < blockCount && room > 0; block++) {
      const blockNow = partial?.states[block] ?? blockState.free
      if (blockNow === blockState.received) continue
      if (blockNow === blockState.requested) {
        if (rank < 4 && partial !== undefined && rescue(state, partial, block, able, deadline, now)) room--
        continue
      }
      looked++
      const best = fastest(able)
      if (best === undefined) break
      if (best.room > 0) {
        partial ??= state.open(piece, true)
        if (partial === undefined) return
        state.request(best.peer, partial, block, now)
        best.room--
        room--
      }
      best.eta += best.blockMs
    }
  }
}

function suits(peer: PeerState, piece: number, partial: PartialPiece | undefined): boolean {
  if (!peer.has(piece) || (peer.choked && !peer.allowedFast.has(piece))) return false
  if (partial === undefined || partial.soleOwner === peer.id) return true
  return partial.soleOwner < 0 && !peer.suspect
}

function fastest(runners: readonly Runner[], except?: number): Runner | undefined {
  let best: Runner | undefined
  for (const runner of runners) {
    if (runner.peer.id !== except && (best === undefined || runner.eta < best.eta)) best = runner
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
  const best = fastest(able, owner.id)
  if (best === undefined || best.room === 0 || best.peer.indexOf(partial.piece, block) >= 0) return false
  if ((best.eta - now) * 1.5 + 30 >= ownerEta - now) return false
  state.request(best.peer, partial, block, now)
  best.room--
  best.eta += best.blockMs
  return true
}
