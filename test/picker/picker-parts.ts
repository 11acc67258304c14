import type { BlockSink } from '../../lib/pieces/block-sink.ts'
import type { BlockSource } from '../../lib/pieces/block-source.ts'

/** Decisions of a picker, with the number of the peer for each. */
export interface Decisions {
  request?(peer: number, piece: number, block: number): void
  cancel?(peer: number, piece: number, block: number): void
  interest?(peer: number, interested: boolean): void
}

/** Makes a peer whose requests go to `decisions`; its number is its host. */
export function sourceOf(id: number, decisions: Decisions = {}): BlockSource {
  return {
    id,
    banKey: String(id),
    request: (piece, block) => decisions.request?.(id, piece, block),
    cancel: (piece, block) => decisions.cancel?.(id, piece, block),
    interest: (interested) => decisions.interest?.(id, interested),
    detach: () => {}
  }
}

/** Makes a sink with memory for every piece, without streaming and spilling, except for `given`. */
export function sinkOf(given: Partial<BlockSink> = {}): BlockSink {
  return {
    reserve: () => Number.POSITIVE_INFINITY,
    extend: () => 0,
    giveBack: () => {},
    stream: () => false,
    abandon: () => {},
    spill: () => false,
    reclaimable: () => {},
    ...given
  }
}
