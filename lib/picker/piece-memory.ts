import type { PartialPiece } from '../pieces/partial-piece.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import type { Surplus } from '../util/memory-budget.ts'
import type { DownloadState } from './download-state.ts'

/** Unwanted partial pieces are kept for a reader that comes back, up to this many bytes. */
const keptBytes = 8 << 20
/** Blocks of a streamed piece that memory is reserved for ahead of their requests; more is given back. */
const mostAhead = 128

/** Sets unwanted pieces aside that no peer is asked for; the latest are kept up to some size if `keep` says so. */
export function dropUnwanted(state: DownloadState, keep: boolean): void {
  let kept = keep ? keptBytes : 0
  for (const partial of [...state.partials.values()].reverse()) {
    if (!partial.idle || state.wants(partial.piece)) continue
    kept -= state.layout.pieceLength
    if (kept < 0) setAside(state, partial)
  }
}

/** The memory of partial pieces: which of them give it up for others, and what follows from what storage has written. */
export class PieceMemory {
  readonly #state: DownloadState
  readonly #fillAll: (now: number) => void

  /** Calls `fillAll` when more can be asked for. */
  constructor(state: DownloadState, fillAll: (now: number) => void) {
    this.#state = state
    this.#fillAll = fillAll
  }

  /** Memory was given back: pieces may be opened again, also those that were set aside for other torrents. */
  freed(now: number): void {
    this.#state.regainMemory()
    this.#fillAll(now)
  }

  /**
   * Gives up memory of one piece. A piece that no peer is asked for is set aside: one that is unwanted or that no peer has or, if `surplus` is
   * `idle`, one that no reader needs. A piece that is `under way` goes on with less. False when there is none. Without it such pieces would keep
   * memory for ever that others could use.
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

  /** So many more blocks of a streamed piece may be asked for. */
  spared(piece: PieceIndex, blocks: number, now: number): void {
    const state = this.#state
    const partial = state.partials.get(piece)
    if (partial === undefined) return
    const wasShort = partial.allowance <= 0
    partial.allowance += blocks
    if (wasShort && partial.free > 0) {
      state.regainMemory()
      this.#fillAll(now)
    }
    // It may have come together meanwhile.
    if (state.partials.get(piece) !== partial) return
    if (partial.idle) state.rest(partial)
    else if (partial.allowance > mostAhead) {
      state.sink.giveBack(piece, partial.allowance - mostAhead)
      partial.allowance = mostAhead
    }
  }

  /** There was no memory for a block that came: it is to be fetched again. */
  dropped(piece: PieceIndex, block: BlockIndex): void {
    const partial = this.#state.partials.get(piece)
    if (partial === undefined) return
    this.#state.discard(partial, [block])
    partial.allowance++
  }

  /** A piece that was held in memory is streamed from now on: nothing more is asked for before `spared`. */
  streamed(piece: PieceIndex): void {
    this.#state.partials.get(piece)?.allow(0)
  }

  /**
   * Gives back memory of streamed pieces that is not used at the moment, or else streams the piece that most is there of: one that no reader
   * needs if there is one.
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

function setAside(state: DownloadState, partial: PartialPiece): void {
  const { piece } = partial
  const blocks = partial.receivedBlocks()
  state.close(piece)
  if (blocks.length > 0 && state.sink.spill(piece)) state.partials.store(piece, blocks)
  else state.sink.abandon(piece)
  state.file(piece)
}
