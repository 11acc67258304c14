import { blockLength, type Layout } from '../metainfo/layout.ts'
import type { PieceProofs } from '../pieces/piece-proofs.ts'
import { equalBytes } from '../util/bytes.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { MemoryAccount } from '../util/memory-budget.ts'
import type { AssemblyEvents } from './assembly-events.ts'
import type { Storage } from './storage.ts'
import { StreamedPiece, sliceBytes } from './streamed-piece.ts'

/** Minimum and maximum number of blocks for which memory is reserved at a time, depending on the torrent's fair share. */
const fewestGranted = 4
const mostGranted = 64
/** Minimum number of such reservations in a fair share: one being written and one arriving, for two pieces. */
const partsOfShare = 4
/** Maximum number of blocks with memory per piece; more helps only when storage is behind. */
const mostReserved = 256
/** Maximum number of failed pieces whose stored blocks are remembered; fewer fail at a time. */
const mostLeftovers = 64

/** Streams pieces to storage block by block, and reserves their memory. */
export class Streaming {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #account: MemoryAccount
  readonly #proofs: PieceProofs
  readonly #events: AssemblyEvents
  readonly #onFailure: (streamed: StreamedPiece, error: Error) => void
  /** Pieces that still accept requests. */
  readonly #open = new LazyMap<number, StreamedPiece>()
  /** By piece, promises that resolve when the reads and writes of an earlier copy have ended. */
  readonly #ends = new LazyMap<number, Promise<void>>()
  /** Stored blocks of the last failed copy, by piece. */
  readonly #leftovers = new LazyMap<number, Set<number>>()

  /** Calls `onFailure` with a piece when storage failed to write one of its blocks. */
  constructor(
    layout: Layout,
    storage: Storage,
    account: MemoryAccount,
    proofs: PieceProofs,
    events: AssemblyEvents,
    onFailure: (streamed: StreamedPiece, error: Error) => void
  ) {
    this.#layout = layout
    this.#storage = storage
    this.#account = account
    this.#proofs = proofs
    this.#events = events
    this.#onFailure = onFailure
  }

  /** Returns whether a piece must be streamed, because an earlier copy of it is stored or being written. */
  isBound(piece: PieceIndex): boolean {
    return this.#leftovers.has(piece) || this.#ends.has(piece)
  }

  /** Begins a piece whose blocks `present` are stored, or will be when `ready` resolves; returns undefined when there is no memory. */
  begin(
    piece: PieceIndex,
    present: readonly number[],
    urgent: boolean,
    ready: Promise<unknown> | undefined
  ): StreamedPiece | undefined {
    const blocks = this.#grant(urgent)
    if (!this.#account.reserve(sliceBytes + blocks * blockLength, urgent)) return undefined
    return this.#add(piece, present, blocks, ready)
  }

  /**
   * Streams a piece that was held in memory, with memory for `blocks` blocks, and releases the rest of its memory. Returns undefined, and
   * does nothing, when that would release nothing.
   */
  adopt(piece: PieceIndex, present: readonly number[], blocks: number): StreamedPiece | undefined {
    const rest = this.#layout.pieceLength - sliceBytes - blocks * blockLength
    if (rest <= 0) return undefined
    this.#account.release(rest)
    return this.#add(piece, present, blocks, undefined)
  }

  /** Reserves memory for more blocks of a piece; returns their number, 0 for none. */
  extend(streamed: StreamedPiece, urgent: boolean, most: number = this.#grant(urgent)): number {
    if (streamed.reserved >= mostReserved) return 0
    if (!this.#account.reserve(most * blockLength, urgent)) return 0
    streamed.reserved += most
    return most
  }

  /** Releases the memory of blocks that will not be requested now. */
  giveBack(streamed: StreamedPiece, blocks: number): void {
    if (blocks <= 0) return
    streamed.reserved -= blocks
    this.#account.release(blocks * blockLength)
  }

  /** Adds a block. If the memory reserved for it was released, reserves it again, or returns false when there is none. */
  fill(streamed: StreamedPiece, block: BlockIndex, data: Uint8Array | undefined): boolean {
    if (streamed.unwritten >= streamed.reserved && !streamed.isClaimed(block)) {
      const more = this.extend(streamed, true, 1)
      if (more === 0) return false
      this.#events.granted(streamed.piece, more)
    }
    this.#leftovers.get(streamed.piece)?.delete(block)
    streamed.fill(block, data)
    // The piece is complete: nothing more is requested.
    if (streamed.complete) this.#close(streamed)
    return true
  }

  /** Returns those of the good blocks of a failed piece that are still stored. */
  keep(piece: PieceIndex, blocks: readonly number[]): readonly number[] {
    const left = this.#leftovers.get(piece)
    return left === undefined ? [] : blocks.filter((block) => left.has(block))
  }

  /** Marks good blocks of the last bad copy as stored where they are absent; calls `accept` before each. */
  salvage(streamed: StreamedPiece, blocks: readonly number[], accept: (block: BlockIndex) => void): void {
    const left = this.#leftovers.get(streamed.piece)
    for (const block of blocks) {
      if (left?.has(block) !== true || streamed.has(block) || streamed.isClaimed(block)) continue
      accept(block)
      streamed.recover(block)
      this.#events.granted(streamed.piece, 1)
      if (streamed.complete) {
        this.#close(streamed)
        return
      }
    }
  }

  /**
   * Verifies a complete piece by reading it back, reports the result, and ends the piece. Calls `right` before `verified` is reported and
   * `stored` after.
   */
  async judge(streamed: StreamedPiece, on: { right(): void; stored(): void }): Promise<void> {
    const { piece } = streamed
    const digest = await streamed.digest()
    // `onFailure` has already reported it.
    if (streamed.ended) return
    try {
      if (digest === undefined) this.#events.lost(piece)
      else if (equalBytes(digest, this.#proofs.sha1(piece))) {
        on.right()
        this.#leftovers.delete(piece)
        const inspection = this.#events.verified(piece, () => streamed.digests())
        on.stored()
        await inspection
      } else {
        const digests = await streamed.digests()
        this.#keepLeftovers(streamed)
        this.#events.failed(piece, digests)
      }
    } finally {
      await this.end(streamed)
    }
  }

  /**
   * Ends a piece; with `keep`, its blocks are written first. Returns a promise that resolves when its memory is free, or undefined if it is
   * free now.
   */
  end(streamed: StreamedPiece, keep = false): Promise<void> | undefined {
    this.#close(streamed)
    if (!keep) streamed.end()
    if (streamed.idle) {
      this.#free(streamed)
      return undefined
    }
    const { piece } = streamed
    const bytes = sliceBytes + streamed.reserved * blockLength
    this.#account.leave(bytes)
    const end = streamed.ended ? streamed.settled() : streamed.written()
    const done = end
      .then(() => {
        streamed.end()
        return streamed.settled()
      })
      .then(() => {
        if (this.#ends.get(piece) === done) this.#ends.delete(piece)
        this.#account.leave(-bytes)
        this.#free(streamed)
      })
    this.#ends.set(piece, done)
    return done
  }

  #keepLeftovers(streamed: StreamedPiece): void {
    const [oldest] = this.#leftovers.keys()
    if (this.#leftovers.size >= mostLeftovers && oldest !== undefined) this.#leftovers.delete(oldest)
    this.#leftovers.set(streamed.piece, new Set(streamed.present()))
  }

  #free(streamed: StreamedPiece): void {
    streamed.end()
    this.#account.release(sliceBytes + streamed.reserved * blockLength)
    streamed.reserved = 0
  }

  #add(
    piece: PieceIndex,
    present: readonly number[],
    blocks: number,
    ready: Promise<unknown> | undefined
  ): StreamedPiece {
    const streamed = new StreamedPiece(
      this.#layout,
      this.#storage,
      piece,
      present,
      this.#ends.get(piece) ?? ready,
      {
        freed: (count) => {
          if (this.#open.get(piece) === streamed) this.#events.granted(piece, count)
          else this.giveBack(streamed, count)
        },
        failed: (error) => this.#onFailure(streamed, error)
      }
    )
    streamed.reserved = blocks
    if (!streamed.complete) this.#open.set(piece, streamed)
    return streamed
  }

  /** Stops requests for a piece: only unwritten blocks keep their memory. */
  #close(streamed: StreamedPiece): void {
    if (this.#open.get(streamed.piece) === streamed) this.#open.delete(streamed.piece)
    this.giveBack(streamed, streamed.reserved - streamed.unwritten)
  }

  #grant(urgent: boolean): number {
    const blocks = Math.floor(this.#account.fairShare(urgent) / partsOfShare / blockLength)
    return Math.max(fewestGranted, Math.min(mostGranted, blocks))
  }
}
