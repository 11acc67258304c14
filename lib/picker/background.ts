import { blockState, type PartialPiece } from '../pieces/partial-piece.ts'
import { blockLength } from '../util/block-length.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'

/** How many requests of each other peer the end game looks at. */
const endGameLook = 16
/** How many other peers it looks at; those that were asked for something longest ago are looked at first. */
const endGameOwners = 64

/** A block to ask for. */
export interface Pick {
  readonly partial: PartialPiece
  readonly block: number
}

/**
 * The next block for a peer that no window needs it for: more of its current piece, then a partial piece, then the
 * rarest piece that it has. Undefined when there is none.
 */
export function pickBackground(state: DownloadState, peer: PeerState): Pick | undefined {
  state.looked(1)
  const current = state.partials.get(peer.currentPiece)
  if (current !== undefined && current.free > 0 && mayFetch(state, peer, current)) return take(peer, current)
  // What only seeds have is the work of seeds: it must come out once before anybody can pass it on.
  const scarce = scarceOf(state, peer)
  const open = state.findOpen(
    (partial) => mayFetch(state, peer, partial) && (scarce < 0 || !isCommon(state, partial, scarce))
  )
  if (open !== undefined) return take(peer, open)
  const begun = state.outOfMemory ? undefined : beginNew(state, peer)
  if (begun !== undefined || scarce < 0) return begun
  // There was no memory for it.
  const common = state.findOpen((partial) => mayFetch(state, peer, partial))
  return common === undefined ? undefined : take(peer, common)
}

function beginNew(state: DownloadState, peer: PeerState): Pick | undefined {
  for (;;) {
    const piece = findNew(state, peer)
    if (piece < 0) return undefined
    const partial = state.open(piece, false)
    if (partial === undefined) return undefined
    // Where all of a piece is in storage, there is nothing to ask for: it is only read back.
    if (partial.free === 0) continue
    if (peer.suspect) partial.soleOwner = peer.id
    return take(peer, partial)
  }
}

/**
 * With nothing free left: a block that another peer will bring much later than this one would (end game). The gain asked
 * for keeps duplicates few.
 */
export function pickEndGame(state: DownloadState, peer: PeerState, now: number): Pick | undefined {
  if (peer.suspect) return undefined
  const ownMs = peer.etaOfNext(blockLength, now) - now
  // With memory short that is the rule and not the end, so only what is very late is worth asking twice.
  let latest = now + (state.outOfMemory ? 1000 + 4 * ownMs : 50 + 2 * ownMs)
  let found: Pick | undefined
  let owners = 0
  for (const owner of state.busy) {
    if (owner === peer || owner.outstanding.length === 0) continue
    if (++owners > endGameOwners) break
    state.looked(1)
    // What was asked for last comes last.
    for (
      let index = owner.outstanding.length - 1, looked = 0;
      index >= 0 && looked < endGameLook;
      index--, looked++
    ) {
      const eta = owner.owing ? Number.POSITIVE_INFINITY : owner.etaOf(index, now)
      if (eta <= latest) break
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

function suitsEndGame(state: DownloadState, peer: PeerState, piece: number, block: number): boolean {
  const partial = state.partials.get(piece)
  if (partial?.states[block] !== blockState.requested || partial.soleOwner >= 0) return false
  return peer.serves(piece) && !state.isShared(piece, block) && peer.indexOf(piece, block) < 0
}

function mayFetch(state: DownloadState, peer: PeerState, partial: PartialPiece): boolean {
  const { piece, soleOwner } = partial
  if (state.table.priority(piece) === 0 || (state.windows.size > 0 && state.windows.has(piece))) return false
  // What must be looked up at the peer comes last: its memory is the one that is not at hand in a large swarm.
  if (soleOwner >= 0 && soleOwner !== peer.id) return false
  if (!peer.serves(piece)) return false
  // A suspect fetches alone, unless what others have begun would stay as it is.
  if (soleOwner < 0 && peer.suspect && state.hasTrusted(piece)) return false
  return state.mayAsk(partial, false)
}

/** If the peer is a seed: the missing piece that comes first, if only seeds have it; else -1. */
function scarceOf({ order, outOfMemory }: DownloadState, peer: PeerState): number {
  if (!peer.seed || peer.choked || outOfMemory) return -1
  const first = order.find(any, undefined)
  return first >= 0 && peer.serves(first) && (order.availability[first] ?? 0) <= 1 ? first : -1
}

/** Whether a piece is in the hands of others than seeds, and no more urgent than one that only seeds have. */
function isCommon({ order, table }: DownloadState, { piece }: PartialPiece, scarce: number): boolean {
  return (order.availability[piece] ?? 0) > 1 && table.priority(piece) <= table.priority(scarce)
}

function any(): boolean {
  return true
}

function take(peer: PeerState, partial: PartialPiece): Pick {
  peer.currentPiece = partial.piece
  return { partial, block: partial.nextFree() }
}

function findNew(state: DownloadState, peer: PeerState): number {
  const { order, table } = state
  const fits = (piece: number): boolean => order.has(piece) && peer.serves(piece)
  for (let piece = peer.suggested.shift(); piece !== undefined; piece = peer.suggested.shift()) {
    // What is wanted more comes first whatever a peer would like.
    if (fits(piece) && table.priority(piece) >= table.priority(order.find(any, undefined))) return piece
  }
  if (peer.choked) return mostNeeded(state, peer.allowedFast, fits)
  const later = order.additions.since(peer.nothingNewAt)
  // Where there was nothing for it, only pieces that it gained or that were put in since can be.
  const found =
    later === undefined
      ? order.find((piece) => peer.serves(piece), peer.seed ? undefined : peer.bits)
      : mostNeeded(state, [...later, ...peer.gained], fits)
  if (found < 0) peer.foundNothing(order.additions.count)
  return found
}

/** Of some pieces the one with the highest priority, and of those the rarest; -1 when none fits. */
function mostNeeded(
  { order, table }: DownloadState,
  pieces: Iterable<number>,
  fits: (piece: number) => boolean
): number {
  let best = -1
  for (const piece of pieces) {
    if (!fits(piece)) continue
    const more = table.priority(piece) - table.priority(best)
    if (best >= 0 && (more < 0 || (more === 0 && rarity(order, piece) >= rarity(order, best)))) continue
    best = piece
  }
  return best
}

function rarity({ availability }: DownloadState['order'], piece: number): number {
  return availability[piece] ?? 0
}
