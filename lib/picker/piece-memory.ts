import type { PartialPiece } from '../pieces/partial-piece.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import type { Surplus } from '../util/memory-budget.ts'
import type { DownloadState } from './download-state.ts'

/** Maximum bytes of unwanted partial pieces that stay in memory for a reader that may come back. */
const keptBytes = 8 << 20
/** Maximum number of blocks of a streamed piece for which memory is reserved ahead of requests. */
const mostAhead = 128

/** Releases unwanted pieces without outstanding requests from memory, see `setAside`. With `keep`, the latest stay, up to 8 MiB. */
export function dropUnwanted(state: DownloadState, keep: boolean): void {
  let kept = keep ? keptBytes : 0
  for (const partial of [...state.partials.values()].reverse()) {
    if (!partial.idle || state.wants(partial.piece)) continue
    kept -= state.layout.pieceLength
    if (kept < 0) setAside(state, partial)
  }
}

/** Manages the memory of partial pieces: which of them release it, and when their requests continue after a write. */
export class PieceMemory {
  readonly #state: DownloadState
  readonly #fillAll: (now: number) => void

  /** Creates a manager that calls `fillAll` when more can be requested. */
  constructor(state: DownloadState, fillAll: (now: number) => void) {
    this.#state = state
    this.#fillAll = fillAll
  }

  /** Handles released memory: pieces may be opened again, including those that were set aside for other torrents. */
  onFreed(now: number): void {
    this.#state.regainMemory()
    this.#fillAll(now)
  }

  /**
   * Releases memory of one piece, so that other torrents can use it. Returns false if there is no such piece.
   *
   * A piece without outstanding requests is set aside: an unwanted piece, one that no peer serves or, if `surplus` is `idle`, one
   * outside all windows. If `surplus` is `under way`, a piece with outstanding requests continues with less memory.
   */
  reclaim(surplus: Surplus): boolean {
    const state = this.#state
    if (surplus === 'under way') return this.#lessen()
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

  /** Allows requests for `blocks` more blocks of a streamed piece. */
  grant(piece: PieceIndex, blocks: number, now: number): void {
    const state = this.#state
    const partial = state.partials.get(piece)
    if (partial === undefined) return
    const wasShort = partial.allowance <= 0
    partial.allowance += blocks
    if (wasShort && partial.free > 0) {
      state.regainMemory()
      this.#fillAll(now)
    }
    // The piece may have become complete meanwhile.
    if (state.partials.get(piece) !== partial) return
    if (partial.idle) state.rest(partial)
    else if (partial.allowance > mostAhead) {
      state.sink.giveBack(piece, partial.allowance - mostAhead)
      partial.allowance = mostAhead
    }
  }

  /** Marks a received block as missing, because there was no memory for it. */
  dropped(piece: PieceIndex, block: BlockIndex): void {
    const partial = this.#state.partials.get(piece)
    if (partial === undefined) return
    this.#state.discard(partial, [block])
    partial.allowance++
  }

  /** Switches a piece from memory to streaming. No more blocks are requested before `grant`. */
  streamed(piece: PieceIndex): void {
    this.#state.partials.get(piece)?.allow(0)
  }

  /**
   * Releases unused memory of a streamed piece. If there is none, streams the piece with the most received blocks, preferably
   * one outside all windows.
   */
  #lessen(): boolean {
    const { partials, windows, sink } = this.#state
    for (const partial of partials.values()) {
      if (!partial.streamed || partial.allowance <= 0) continue
      sink.giveBack(partial.piece, partial.allowance)
      partial.allowance = 0
      return true
    }
    const whole = [...partials.values()].filter(({ streamed }) => !streamed)
    whole.sort(
      (a, b) => Number(windows.has(a.piece)) - Number(windows.has(b.piece)) || b.received - a.received
    )
    return whole.some(({ piece }) => sink.stream(piece))
  }
}

function isServed(state: DownloadState, piece: PieceIndex): boolean {
  for (const peer of state.peers.values()) if (peer.serves(piece)) return true
  return false
}

/**
 * Sets a partial piece aside: its received blocks are written to storage, or dropped if that is not possible, and its memory is
 * released.
 */
function setAside(state: DownloadState, partial: PartialPiece): void {
  const { piece } = partial
  const blocks = partial.receivedBlocks()
  state.close(piece)
  if (blocks.length > 0 && state.sink.spill(piece)) state.partials.setKept(piece, blocks)
  else state.sink.abandon(piece)
  state.file(piece)
}
