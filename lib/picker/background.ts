import { blockState, type PartialPiece } from '../pieces/partial-piece.ts'
import { blockLength } from '../util/block-length.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'
import {
  backgroundStages,
  type Candidate,
  compareRequests,
  isDeferred,
  isLater,
  type Stage
} from './request-order.ts'

/** Maximum number of requests that the end game checks per peer. */
const endGameLook = 16
/** Maximum number of peers that the end game checks, those that have been busy longest first. */
const endGameOwners = 64

/** Marks a scarce piece that has not been searched for yet. */
const unknown = -2

/** A block to request. */
export interface Pick {
  readonly partial: PartialPiece
  readonly block: BlockIndex
}

/** Returns the next block outside all windows for a peer, in the order of `request-order.ts`, or undefined if there is none. */
export function pickBackground(state: DownloadState, peer: PeerState): Pick | undefined {
  state.looked(1)
  // The scarce piece is searched for once, and only if the peer has no current piece.
  let scarce = unknown
  for (const stage of backgroundStages) {
    if (stage !== 'current' && scarce === unknown) scarce = scarceOf(state, peer)
    const pick = pickOfStage(stage, state, peer, scarce)
    if (pick !== undefined) return pick
  }
  return undefined
}

function pickOfStage(stage: Stage, state: DownloadState, peer: PeerState, scarce: number): Pick | undefined {
  if (stage === 'current') {
    const current = state.partials.get(peer.currentPiece)
    return current !== undefined && current.free > 0 && mayFetch(state, peer, current)
      ? pickFrom(peer, current)
      : undefined
  }
  if (stage === 'fresh') return state.outOfMemory ? undefined : beginNew(state, peer)
  // Without a scarce piece, no piece is deferred.
  if (stage === 'deferred' && scarce < 0) return undefined
  const all = scarce < 0 || stage === 'deferred'
  const open = state.open.find(
    (partial) => mayFetch(state, peer, partial) && (all || !isDeferredFor(state, partial, scarce))
  )
  return open === undefined ? undefined : pickFrom(peer, open)
}

function beginNew(state: DownloadState, peer: PeerState): Pick | undefined {
  for (;;) {
    const piece = findNew(state, peer)
    if (piece < 0) return undefined
    const partial = state.begin(piece, false)
    if (partial === undefined) return undefined
    // If all blocks are in storage, nothing needs to be requested: the piece is only read back.
    if (partial.free === 0) continue
    if (peer.suspect) partial.soleOwner = peer.id
    return pickFrom(peer, partial)
  }
}

/**
 * End game: returns a block that another peer is expected to deliver much later than this one would. The required gain
 * keeps duplicates few.
 */
export function pickEndGame(state: DownloadState, peer: PeerState, now: number): Pick | undefined {
  if (peer.suspect) return undefined
  const ownMs = peer.etaOfNext(blockLength, now) - now
  // While memory is short, peers search here all the time, so the gain must be larger.
  let latest = now + (state.outOfMemory ? 1000 + 4 * ownMs : 50 + 2 * ownMs)
  let found: Pick | undefined
  let owners = 0
  for (const owner of state.readiness.busy) {
    if (owner === peer || owner.outstanding.length === 0) continue
    if (++owners > endGameOwners) break
    state.looked(1)
    // The newest request of a peer arrives last.
    for (
      let index = owner.outstanding.length - 1, looked = 0;
      index >= 0 && looked < endGameLook;
      index--, looked++
    ) {
      const eta = owner.owing ? Number.POSITIVE_INFINITY : owner.etaOf(index, now)
      if (!isLater(eta, latest)) break
      const request = owner.outstanding.at(index)
      if (request === undefined || !suitsEndGame(state, peer, request.piece, request.block)) continue
      const partial = state.partials.get(request.piece)
      if (partial === undefined) continue
      latest = eta
      found = { partial, block: request.block }
      break
    }
  }
  return found
}

function suitsEndGame(state: DownloadState, peer: PeerState, piece: PieceIndex, block: BlockIndex): boolean {
  const partial = state.partials.get(piece)
  if (partial?.states[block] !== blockState.requested || partial.soleOwner >= 0) return false
  return peer.serves(piece) && !state.isShared(piece, block) && peer.indexOf(piece, block) < 0
}

function mayFetch(state: DownloadState, peer: PeerState, partial: PartialPiece): boolean {
  const { piece, soleOwner } = partial
  if (state.table.priority(piece) === 0 || (state.windows.size > 0 && state.windows.has(piece))) return false
  // The peer is checked last: in a large swarm its memory is rarely in the CPU cache.
  if (soleOwner >= 0 && soleOwner !== peer.id) return false
  if (!peer.serves(piece)) return false
  // A suspect fetches pieces alone, unless no trusted peer could finish one that others have begun.
  if (soleOwner < 0 && peer.suspect && state.hasTrusted(piece)) return false
  return state.mayAsk(partial, false)
}

/** Returns the first missing piece if `peer` is a seed and only seeds have that piece, or -1. */
function scarceOf({ order, outOfMemory }: DownloadState, peer: PeerState): number {
  if (!peer.seed || peer.choked || outOfMemory) return -1
  const first = order.find(any, undefined)
  return first >= 0 && peer.serves(first) && order.leechers[first] === 0 ? first : -1
}

function isDeferredFor({ order, table }: DownloadState, { piece }: PartialPiece, scarce: number): boolean {
  return isDeferred(order.leechers[piece] ?? 0, table.priority(piece), table.priority(scarce))
}

function any(): boolean {
  return true
}

function pickFrom(peer: PeerState, partial: PartialPiece): Pick {
  peer.currentPiece = partial.piece
  return { partial, block: partial.nextFree() }
}

function findNew(state: DownloadState, peer: PeerState): number {
  const { order } = state
  const fits = (piece: PieceIndex): boolean => order.has(piece) && peer.serves(piece)
  for (let piece = peer.suggested.shift(); piece !== undefined; piece = peer.suggested.shift()) {
    if (!fits(piece)) continue
    const best = order.find(any, undefined)
    if (compareRequests(freshOf(state, piece, true), freshOf(state, best)) < 0) return piece
  }
  if (peer.choked) return mostNeeded(state, peer.allowedFast, fits)
  const later = order.additions.since(peer.nothingNewAt)
  // If the last search found nothing, only pieces added or gained since then can match.
  const found =
    later === undefined
      ? order.find((piece) => peer.serves(piece), peer.seed ? undefined : peer.bits)
      : mostNeeded(state, [...later, ...peer.gained], fits)
  if (found < 0) peer.foundNothing(order.additions.count)
  return found
}

/** Returns the most needed of `pieces` that fit, or -1. */
function mostNeeded(
  state: DownloadState,
  pieces: Iterable<number>,
  fits: (piece: PieceIndex) => boolean
): number {
  let best = -1
  for (const piece of pieces) {
    if (!fits(piece)) continue
    if (best < 0 || compareRequests(freshOf(state, piece), freshOf(state, best)) < 0) best = piece
  }
  return best
}

function freshOf({ order, table }: DownloadState, piece: PieceIndex, suggested = false): Candidate {
  return {
    stage: 'fresh',
    priority: table.priority(piece),
    suggested,
    availability: order.availability(piece)
  }
}
