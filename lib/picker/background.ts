import type { DownloadState } from './download-state.ts'
import { blockState, type PartialPiece } from './partial-piece.ts'
import type { PeerState } from './peer-state.ts'

/** How many requested blocks the end game looks at for one peer. */
const endGameLook = 512

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
  const current = state.partials.get(peer.currentPiece)
  if (current !== undefined && current.free > 0 && mayFetch(state, peer, current)) return take(peer, current)
  const open = state.findOpen((partial) => mayFetch(state, peer, partial))
  if (open !== undefined) return take(peer, open)
  if (state.outOfMemory) return undefined
  const piece = findNew(state, peer)
  if (piece < 0) return undefined
  const partial = state.open(piece, false)
  if (partial === undefined) return undefined
  if (peer.suspect) partial.soleOwner = peer.id
  return take(peer, partial)
}

/**
 * With nothing free left: a block that another peer will bring much later than this one would (end game). The gain asked
 * for keeps duplicates few.
 */
export function pickEndGame(state: DownloadState, peer: PeerState, now: number): Pick | undefined {
  if (peer.suspect) return undefined
  let looked = 0
  let found: Pick | undefined
  let latest = now + 50 + 2 * (peer.etaOfNext(16384, now) - now)
  for (const partial of state.partials.values()) {
    if (
      partial.complete ||
      partial.soleOwner >= 0 ||
      !peer.has(partial.piece) ||
      !servesNow(peer, partial.piece)
    ) {
      continue
    }
    for (let block = 0; block < partial.blockCount; block++) {
      if (partial.states[block] !== blockState.requested) continue
      if (++looked > endGameLook) return found
      const owner = state.peers.get(partial.by[block] ?? -1)
      if (owner === undefined || owner === peer || state.isShared(partial.piece, block)) continue
      const index = owner.indexOf(partial.piece, block)
      const eta = index < 0 ? now : owner.snubbed ? Number.POSITIVE_INFINITY : owner.etaOf(index, now)
      if (eta > latest && peer.indexOf(partial.piece, block) < 0) {
        latest = eta
        found = { partial, block }
      }
    }
  }
  return found
}

function mayFetch(state: DownloadState, peer: PeerState, partial: PartialPiece): boolean {
  const { piece } = partial
  if (!peer.has(piece) || !servesNow(peer, piece) || state.windows.has(piece)) return false
  if (state.priority[piece] === 0) return false
  return partial.soleOwner < 0 ? !peer.suspect : partial.soleOwner === peer.id
}

function servesNow(peer: PeerState, piece: number): boolean {
  return !peer.choked || peer.allowedFast.has(piece)
}

function take(peer: PeerState, partial: PartialPiece): Pick {
  peer.currentPiece = partial.piece
  return { partial, block: partial.nextFree() }
}

function findNew(state: DownloadState, peer: PeerState): number {
  const { order } = state
  const fits = (piece: number): boolean => order.has(piece) && peer.has(piece) && servesNow(peer, piece)
  for (let piece = peer.suggested.shift(); piece !== undefined; piece = peer.suggested.shift()) {
    if (fits(piece)) return piece
  }
  if (peer.choked) {
    for (const piece of peer.allowedFast) if (fits(piece)) return piece
    return -1
  }
  for (let position = 0; position < order.size; position++) {
    const piece = order.at(position)
    if (fits(piece)) return piece
  }
  return -1
}
