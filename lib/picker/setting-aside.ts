import type { Surplus } from '../util/memory-budget.ts'
import type { DownloadState } from './download-state.ts'
import type { PartialPiece } from './partial-piece.ts'

/** Partial pieces that nobody wants any more are kept for a reader that comes back, up to this many bytes. */
const keptBytes = 8 << 20

/** Sets pieces aside that nobody wants and no peer is asked for; the latest are kept up to some size if `keep` says so. */
export function dropUnwanted(state: DownloadState, keep: boolean): void {
  let kept = keep ? keptBytes : 0
  for (const partial of [...state.partials.values()].reverse()) {
    if (!partial.idle || state.wants(partial.piece)) continue
    kept -= state.layout.pieceLength
    if (kept < 0) setAside(state, partial)
  }
}

/**
 * Sets one piece aside that no peer is asked for, for its memory: one that nobody wants or no peer has or, if `surplus` is `idle`, one that
 * no reader needs. False when there is none. Without it such pieces would keep memory for ever that others could use.
 */
export function reclaim(state: DownloadState, surplus: Surplus): boolean {
  let found: PartialPiece | undefined
  for (const partial of state.partials.values()) {
    if (!partial.idle) continue
    const { piece } = partial
    if (!state.wants(piece) || !isServed(state, piece)) {
      found = partial
      break
    }
    if (surplus === 'idle' && !state.windows.has(piece)) found ??= partial
  }
  if (found !== undefined) setAside(state, found)
  return found !== undefined
}

function isServed(state: DownloadState, piece: number): boolean {
  for (const peer of state.peers.values()) if (peer.serves(piece)) return true
  return false
}

function setAside(state: DownloadState, partial: PartialPiece): void {
  const { piece } = partial
  const blocks = partial.receivedBlocks()
  state.close(piece)
  if (blocks.length > 0 && state.sink.spill?.(piece)) state.store(piece, blocks)
  else state.sink.abandon(piece)
  state.file(piece)
}
