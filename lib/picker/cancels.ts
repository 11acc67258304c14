import type { PieceIndex } from '../util/indices.ts'
import type { DownloadState } from './download-state.ts'
import type { PeerState } from './peer-state.ts'
import { dropUnwanted } from './piece-memory.ts'

/** Cancels the requests of a peer for which `which` returns true; its arguments are the piece and the index in the request queue. */
export function cancelWhere(
  state: DownloadState,
  peer: PeerState,
  which: (piece: PieceIndex, index: number) => boolean,
  now: number
): void {
  const pieces = new Set<number>()
  for (let index = peer.outstanding.length - 1; index >= 0; index--) {
    const piece = peer.outstanding.pieceAt(index)
    if (!which(piece, index)) continue
    state.cancel(peer, index, now)
    pieces.add(piece)
  }
  for (const piece of pieces) state.dropIfEmpty(piece)
}

/** Cancels all requests for blocks of a piece. */
export function cancelPiece(state: DownloadState, piece: PieceIndex, now: number): void {
  const partial = state.partials.get(piece)
  if (partial === undefined || partial.free + partial.received === partial.blockCount) return
  for (const peer of state.readiness.busy) cancelWhere(state, peer, (asked) => asked === piece, now)
}

/** Cancels requests for unwanted pieces. With `keep`, some of the partial pieces stay in memory in case a reader comes back. */
export function cancelUnwanted(state: DownloadState, keep: boolean, now: number): void {
  for (const peer of state.peers.values()) cancelWhere(state, peer, (piece) => !state.wants(piece), now)
  dropUnwanted(state, keep)
}

/** Cancels background requests that would delay a stream by more than `slackMs`, except for blocks already in transit. */
export function cancelBackground(state: DownloadState, slackMs: number, now: number): void {
  const { windows } = state
  for (const peer of state.peers.values()) {
    const { latencyMs } = peer.link
    const onItsWay = now + latencyMs + (slackMs > 0 ? slackMs + latencyMs / 4 : 0)
    cancelWhere(state, peer, (piece, index) => !windows.has(piece) && peer.etaOf(index, now) > onItsWay, now)
  }
}

/** Releases the requests of a peer that has dropped them all. Blocks that it sent before may still arrive. */
export function forgetRequests(state: DownloadState, peer: PeerState, now: number): void {
  const pieces = new Set<number>()
  for (const { piece, block } of peer.outstanding.list()) {
    peer.take(0, false, now)
    peer.remember(state.key(piece, block))
    state.release(peer.id, piece, block)
    pieces.add(piece)
  }
  for (const piece of pieces) state.dropIfEmpty(piece)
}

/** Releases the requests of a disconnected peer, so that other peers can be asked. */
export function releaseOwed(state: DownloadState, peer: PeerState): void {
  const owed = peer.outstanding.list()
  for (const { piece, block } of owed) state.release(peer.id, piece, block)
  state.releaseSole(peer)
  state.offerMemory()
  for (const piece of new Set(owed.map(({ piece }) => piece))) state.dropIfEmpty(piece)
}
