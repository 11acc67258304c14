import { blockLength, type Layout } from '../metainfo/layout.ts'
import type { PieceProofs } from '../pieces/piece-proofs.ts'
import { equalBytes } from '../util/bytes.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { MemoryAccount } from '../util/memory-budget.ts'
import type { AssemblyEvents } from './assembly-events.ts'
import type { Storage } from './storage.ts'
import { StreamedPiece, sliceBytes } from './streamed-piece.ts'

/** Memory for blocks of a streamed piece is reserved in parts of so many at least and at most, as the torrent's fair share allows. */
const fewestGranted = 4
const mostGranted = 64
/** Parts that there are in a fair share at least: one that is written and one that comes, of two pieces. */
const partsOfShare = 4
/** A piece has memory for so many blocks at most: more is no faster but where storage is behind. */
const mostReserved = 256
/** Failed pieces in storage of which it is known what is left of them: 4 KiB each at most, and more than fail at a time. */
const mostLeftovers = 64

/** Pieces that go to storage block by block, with the memory that is reserved for them. */
export class Streaming {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #account: MemoryAccount
  readonly #proofs: PieceProofs
  readonly #events: AssemblyEvents
  readonly #onFailure: (streamed: StreamedPiece, error: Error) => void
  /** Pieces whose blocks may be asked for. */
  readonly #open = new LazyMap<number, StreamedPiece>()
  /** Ends of earlier generations of pieces, which storage may still have to do with. */
  readonly #ends = new LazyMap<number, Promise<void>>()
  /** Blocks in storage of the copy of a piece that failed last. */
  readonly #leftovers = new LazyMap<number, Set<number>>()

  /** Tells `onFailure` of the piece of which storage has failed to write a block. */
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

  /** Whether a piece must be streamed because something of it is in storage or on its way there. */
  isBound(piece: PieceIndex): boolean {
    return this.#leftovers.has(piece) || this.#ends.has(piece)
  }

  /** Begins a piece of which blocks are in storage, or will be when `ready` is resolved; undefined when there is no memory. */
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
   * Begins a piece that was held in memory, with memory for so many blocks, and releases the rest of what it held. Undefined, and nothing
   * happens, when there is no rest.
   */
  adopt(piece: PieceIndex, present: readonly number[], blocks: number): StreamedPiece | undefined {
    const rest = this.#layout.pieceLength - sliceBytes - blocks * blockLength
    if (rest <= 0) return undefined
    this.#account.release(rest)
    return this.#add(piece, present, blocks, undefined)
  }

  /** Reserves memory for more blocks of a piece, and returns for how many; 0 for none. */
  extend(streamed: StreamedPiece, urgent: boolean, most: number = this.#grant(urgent)): number {
    if (streamed.reserved >= mostReserved) return 0
    if (!this.#account.reserve(most * blockLength, urgent)) return 0
    streamed.reserved += most
    return most
  }

  /** So many blocks of a piece will not be asked for now: their memory is released. */
  giveBack(streamed: StreamedPiece, blocks: number): void {
    if (blocks <= 0) return
    streamed.reserved -= blocks
    this.#account.release(blocks * blockLength)
  }

  /** Takes a block; false when there is no memory for it, as for one that was asked for no more. */
  fill(streamed: StreamedPiece, block: BlockIndex, data: Uint8Array | undefined): boolean {
    if (streamed.unwritten >= streamed.reserved && !streamed.isClaimed(block)) {
      const more = this.extend(streamed, true, 1)
      if (more === 0) return false
      this.#events.spared(streamed.piece, more)
    }
    this.#leftovers.get(streamed.piece)?.delete(block)
    streamed.fill(block, data)
    // The whole piece is there: nothing more is asked for.
    if (streamed.complete) this.#close(streamed)
    return true
  }

  /** Names right blocks of a piece that has failed in storage: returns those that are still there. */
  keep(piece: PieceIndex, blocks: readonly number[]): readonly number[] {
    const left = this.#leftovers.get(piece)
    return left === undefined ? [] : blocks.filter((block) => left.has(block))
  }

  /** Says of the last bad copy in storage that some blocks are right, where they are absent; `accept` is called before each. */
  salvage(streamed: StreamedPiece, blocks: readonly number[], accept: (block: BlockIndex) => void): void {
    const left = this.#leftovers.get(streamed.piece)
    for (const block of blocks) {
      if (left?.has(block) !== true || streamed.has(block) || streamed.isClaimed(block)) continue
      accept(block)
      streamed.recover(block)
      this.#events.spared(streamed.piece, 1)
      if (streamed.complete) {
        this.#close(streamed)
        return
      }
    }
  }

  /** Reads a complete piece back, tells what came of it, and ends it; `right` is called before it is said to be right, `stored` after. */
  async judge(streamed: StreamedPiece, on: { right(): void; stored(): void }): Promise<void> {
    const { piece } = streamed
    const digest = await streamed.digest()
    // Its end was told.
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

  /** Ends a piece; with `keep` all that came of it is written before. The promise, if any, resolves when its memory is free. */
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
          if (this.#open.get(piece) === streamed) this.#events.spared(piece, count)
          else this.giveBack(streamed, count)
        },
        failed: (error) => this.#onFailure(streamed, error)
      }
    )
    streamed.reserved = blocks
    if (!streamed.complete) this.#open.set(piece, streamed)
    return streamed
  }

  /** Nothing more is asked for of a piece: only blocks that are not written hold on to memory. */
  #close(streamed: StreamedPiece): void {
    if (this.#open.get(streamed.piece) === streamed) this.#open.delete(streamed.piece)
    this.giveBack(streamed, streamed.reserved - streamed.unwritten)
  }

  #grant(urgent: boolean): number {
    const blocks = Math.floor(this.#account.fairShare(urgent) / partsOfShare / blockLength)
    return Math.max(fewestGranted, Math.min(mostGranted, blocks))
  }
}
