import type { Layout } from '../metainfo/layout.ts'
import type { BlockSink } from '../pieces/block-sink.ts'
import type { PieceProofs } from '../pieces/piece-proofs.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { asError } from '../util/errors.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import type { MemoryAccount } from '../util/memory-budget.ts'
import { NumberMap } from '../util/number-map.ts'
import type { AssemblyEvents } from './assembly-events.ts'
import { BlockWriters } from './block-writers.ts'
import { BufferPool } from './buffer-pool.ts'
import { Conversions } from './conversions.ts'
import type { PieceBuffer } from './piece-buffer.ts'
import { SpilledPieces } from './spilled-pieces.ts'
import type { Storage } from './storage.ts'
import { StreamedPiece } from './streamed-piece.ts'
import { Streaming } from './streaming.ts'
import { WholePieces } from './whole-pieces.ts'
import { WorkTracker } from './work-tracker.ts'

/** Pieces up to this size, in bytes, are held in memory regardless of the torrent's fair share: streaming them would take as much. */
const smallPiece = 256 << 10

/**
 * Assembles blocks from the network into pieces, verifies them, writes them to storage, and frees them. Reserves memory in a budget when a
 * piece is begun and releases it once the piece is written or abandoned. A piece larger than the torrent's fair share of memory is
 * streamed: its blocks go to storage as they arrive.
 */
export class Assembly implements BlockSink {
  /** Sources that are writing into the memory of pieces. */
  readonly writers: BlockWriters
  /** Complete pieces, until they are stored. */
  readonly whole: WholePieces
  readonly #table: PieceTable
  readonly #layout: Layout
  readonly #account: MemoryAccount
  readonly #events: AssemblyEvents
  readonly #pool: BufferPool
  readonly #streaming: Streaming
  readonly #stopReclaiming: () => void
  /** Pieces with reserved memory; undefined for a piece held in memory that gets its buffer with its first block. */
  readonly #begun = new NumberMap<PieceBuffer | StreamedPiece | undefined>()
  readonly #spilled: SpilledPieces
  readonly #conversions: Conversions
  readonly #work = new WorkTracker()
  #closed = false

  constructor(
    table: PieceTable,
    storage: Storage,
    account: MemoryAccount,
    proofs: PieceProofs,
    events: AssemblyEvents
  ) {
    const { layout } = table
    this.#table = table
    this.#layout = layout
    this.writers = new BlockWriters((piece, block) => this.unclaim(piece, block))
    this.#account = account
    this.#events = events
    this.#spilled = new SpilledPieces(layout, storage)
    this.#conversions = new Conversions(layout, storage)
    this.#pool = new BufferPool(layout.pieceLength, account)
    this.whole = new WholePieces(table, storage, this.#pool, this.#work, proofs, events, () => {
      if (this.#begun.size === 0 && this.whole.size === 0) this.#rest()
    })
    this.#stopReclaiming = account.budget.reclaimer(() => this.whole.bad.drop())
    this.#streaming = new Streaming(layout, storage, account, proofs, events, (streamed, error) =>
      this.#streamFailed(streamed, error)
    )
  }

  /**
   * Reserves memory for a piece and returns how many of its blocks may be requested: `Infinity` when the whole piece is held in memory, 0
   * when there is no memory or storage is behind. After 0, the owner of the account is told when to try again.
   */
  reserve(piece: PieceIndex, urgent: boolean): number {
    if (this.#closed || this.#begun.has(piece)) return this.#closed ? 0 : Number.POSITIVE_INFINITY
    const kept = this.whole.bad.take(piece)
    if (kept !== undefined) {
      this.#begun.set(piece, kept)
      this.#events.arrived(piece)
      return Number.POSITIVE_INFINITY
    }
    if (this.#conversions.has(piece) || (!urgent && this.whole.isBehind)) {
      this.#account.wait()
      return 0
    }
    const { pieceLength } = this.#layout
    const isSmall = pieceLength <= Math.max(smallPiece, this.#account.fairShare(urgent))
    if (isSmall && !this.#streaming.isBound(piece)) {
      if (this.#pool.reserve(urgent)) {
        this.#hold(piece)
        return Number.POSITIVE_INFINITY
      }
      // A torrent that holds no memory, or has a reader, streams the piece instead of waiting for that much.
      if (pieceLength <= smallPiece || (this.#account.used > 0 && !urgent)) return 0
    }
    return this.#stream(piece, urgent)
  }

  /** Reserves memory for more blocks of a streamed piece and returns how many may be requested, 0 for none. */
  extend(piece: PieceIndex, urgent: boolean): number {
    const begun = this.#begun.get(piece)
    return begun instanceof StreamedPiece && !this.#closed ? this.#streaming.extend(begun, urgent) : 0
  }

  /** Releases the memory of blocks of a streamed piece that will not be requested now. */
  giveBack(piece: PieceIndex, blocks: number): void {
    const begun = this.#begun.get(piece)
    if (begun instanceof StreamedPiece) this.#streaming.giveBack(begun, blocks)
  }

  /** Drops a piece that was begun, with its blocks. */
  abandon(piece: PieceIndex): void {
    this.#forget(piece)
    this.#events.abandoned(piece)
  }

  #forget(piece: PieceIndex): void {
    this.writers.detach(piece)
    if (!this.#begun.has(piece)) return
    const begun = this.#begun.get(piece)
    this.#begun.delete(piece)
    if (begun instanceof StreamedPiece) this.#endStreamed(begun)
    else if (begun === undefined) this.#pool.cancel()
    // A source may still be writing into the buffer, so it is not used again.
    else this.#pool.release()
  }

  /**
   * Releases the memory of an incomplete piece once its blocks are stored; they are read back when the piece is reserved again. Returns
   * false, and keeps the memory, when the piece has no blocks. Blocks that a source is still writing are lost in both cases.
   */
  spill(piece: PieceIndex): boolean {
    this.writers.detach(piece)
    const begun = this.#begun.get(piece)
    if (begun === undefined || this.#closed || begun.present().length === 0) return false
    this.#begun.delete(piece)
    if (begun instanceof StreamedPiece) this.#endStreamed(begun, true)
    else {
      this.#account.leave(this.#layout.pieceLength)
      this.#work.track(this.#spilled.spill(begun).then((failure) => this.#hasSpilled(piece, failure)))
    }
    return true
  }

  /**
   * Converts a piece held in memory to a streamed one, to free memory for others; returns false when that gains nothing. `streamed` is
   * called once its present blocks are written.
   */
  stream(piece: PieceIndex): boolean {
    const begun = this.#begun.get(piece)
    const { pieceLength } = this.#layout
    if (pieceLength <= smallPiece || this.#closed || this.#spilled.isReturning(piece)) return false
    if (!this.#begun.has(piece) || begun instanceof StreamedPiece || this.#conversions.has(piece))
      return false
    // At least half of the memory will become free.
    this.#account.leave(pieceLength / 2)
    const conversion = this.#conversions.run(piece, begun, (written, failure) => {
      this.#account.leave(-pieceLength / 2)
      // The piece may have completed or been abandoned meanwhile; it may then be begun anew.
      if (!this.#begun.has(piece) || this.#begun.get(piece) !== begun) this.#account.budget.wake()
      else if (failure !== undefined) {
        this.#forget(piece)
        this.#events.error(failure, piece)
      } else if (!this.#closed) this.#convert(piece, begun, written)
    })
    this.#work.track(begun === undefined ? conversion : this.#pool.pinned(begun, conversion))
    return true
  }

  /** Returns the memory into which a source may write a block; undefined if another source is writing it or the piece is not begun. */
  claim(piece: PieceIndex, block: BlockIndex): Uint8Array | undefined {
    return this.#begun.has(piece) ? this.#piece(piece).claim(block) : undefined
  }

  /** Returns whether a source is writing a block. */
  isClaimed(piece: PieceIndex, block: BlockIndex): boolean {
    return this.#begun.get(piece)?.isClaimed(block) === true
  }

  /** Releases a claimed block whose source is gone. */
  unclaim(piece: PieceIndex, block: BlockIndex): void {
    this.#begun.get(piece)?.unclaim(block)
  }

  /** Adds a whole block: copies `data`, or takes the claimed memory when `data` is undefined. */
  fill(piece: PieceIndex, block: BlockIndex, data?: Uint8Array): void {
    if (!this.#begun.has(piece)) return
    const begun = this.#piece(piece)
    if (!(begun instanceof StreamedPiece)) begun.fill(block, data)
    else if (!this.#streaming.fill(begun, block, data)) {
      this.#events.dropped(piece, block)
      return
    }
    if (begun.complete) this.#complete(begun)
    else this.#events.arrived(piece)
  }

  /** Discards blocks of an incomplete piece and returns those that were present. */
  discard(piece: PieceIndex, blocks: readonly number[]): readonly number[] {
    const begun = this.#begun.get(piece)
    if (begun === undefined) return []
    this.#conversions.discard(piece, blocks)
    const discarded = blocks.filter((block) => begun.discard(block))
    if (discarded.length > 0) this.#events.invalidated(piece)
    return discarded
  }

  /**
   * Lets the next copy of a piece that has just failed begin with these blocks of the bad copy. Returns the blocks, or none if the bad copy was
   * dropped.
   */
  keep(piece: PieceIndex, blocks: readonly number[]): readonly number[] {
    if (this.whole.bad.get(piece) !== undefined) return this.whole.bad.keep(piece, blocks)
    return this.#streaming.keep(piece, blocks)
  }

  /**
   * Copies these blocks of the last bad copy into the piece under way, except blocks that are present or being written. Calls `accept`
   * before each.
   */
  salvage(piece: PieceIndex, blocks: readonly number[], accept: (block: BlockIndex) => void): void {
    this.writers.detach(piece)
    if (!this.#begun.has(piece)) return
    const bad = this.whole.bad.get(piece)
    const begun = this.#piece(piece)
    if (begun instanceof StreamedPiece) {
      this.#streaming.salvage(begun, blocks, accept)
      if (begun.complete && this.#begun.get(piece) === begun) this.#complete(begun)
    }
    for (const block of bad === undefined ? [] : blocks) {
      // The last block may have completed and ended the piece.
      if (this.#begun.get(piece) !== begun) return
      if (bad?.has(block) !== true || begun.has(block) || begun.isClaimed(block)) continue
      accept(block)
      this.fill(piece, block, bad.view(block))
    }
  }

  /**
   * Copies the contiguous, unverified blocks of a piece under way from an offset on; undefined when the first byte is missing or was
   * dropped.
   */
  peek(byteOffset: number, length: number): Uint8Array | Promise<Uint8Array | undefined> | undefined {
    const piece = this.#layout.pieceAt(byteOffset)
    return this.#begun.get(piece)?.peek(byteOffset - this.#layout.pieceOffset(piece), length)
  }

  /**
   * Writes the blocks of incomplete pieces to storage for a later run and returns their indices by piece, including pieces saved by an
   * earlier run and not begun since. Calls `onFailure` with the first storage error; the default throws it.
   */
  async save(onFailure: (error: Error) => void = fail): Promise<Map<number, readonly number[]>> {
    let failed = false
    const saved = this.#table.blocks.allKept()
    // Blocks of bad copies are in memory and not in storage.
    for (const piece of saved.keys()) if (this.whole.bad.isKept(piece)) saved.delete(piece)
    for (const [piece, begun] of [...this.#begun]) {
      if (begun === undefined || this.#begun.get(piece) !== begun) continue
      try {
        const blocks = await this.#spilled.save(begun, this.#pool)
        if (blocks.length > 0) saved.set(piece, blocks)
      } catch (thrown) {
        if (!failed) onFailure(asError(thrown))
        failed = true
      }
    }
    return saved
  }

  /** Resolves when no piece is being verified or written. */
  async idle(): Promise<void> {
    await this.#work.idle()
  }

  /** Wakes torrents that wait for memory, because pieces can now be abandoned for them. */
  reclaimable(): void {
    this.#account.budget.wake()
  }

  /** Finishes writes under way, releases all memory, and accepts nothing more. */
  async close(): Promise<void> {
    this.#closed = true
    this.whole.close()
    await this.idle()
    for (const piece of [...this.#begun.keys()]) this.#forget(piece)
    await this.idle()
    this.#stopReclaiming()
    while (this.whole.bad.drop());
    this.#rest()
    this.#pool.close()
    this.#account.close()
  }

  /** Holds a piece in memory from now on; its kept blocks are read back. */
  #hold(piece: PieceIndex): void {
    this.#begun.set(piece, undefined)
    const blocks = this.#table.blocks.kept(piece)
    if (blocks.length > 0) this.#work.track(this.#readBack(piece, blocks))
  }

  #stream(piece: PieceIndex, urgent: boolean): number {
    const blocks = this.#table.blocks.kept(piece)
    const streamed = this.#streaming.begin(piece, blocks, urgent, this.#spilled.spilling(piece))
    if (streamed === undefined) return 0
    this.#begun.set(piece, streamed)
    if (blocks.length > 0) this.#events.arrived(piece)
    // It completes in a microtask, after the picker has registered the piece.
    if (streamed.complete)
      queueMicrotask(() => this.#begun.get(piece) === streamed && this.#complete(streamed))
    return streamed.reserved
  }

  /** Returns a begun piece; takes its buffer if needed. */
  #piece(piece: PieceIndex): PieceBuffer | StreamedPiece {
    let begun = this.#begun.get(piece)
    if (begun === undefined) {
      begun = this.#pool.take()
      begun.begin(piece, this.#layout.pieceSize(piece), this.#layout.requestSize(piece))
      this.#begun.set(piece, begun)
    }
    return begun
  }

  #complete(begun: PieceBuffer | StreamedPiece): void {
    this.#begun.delete(begun.piece)
    if (begun instanceof StreamedPiece) {
      this.#work.track(
        this.#streaming.judge(begun, {
          right: () => this.whole.bad.drop(begun.piece),
          stored: () => this.whole.stored(begun.piece)
        })
      )
      return
    }
    // The conversion must finish its writes before the complete piece is written.
    this.whole.add(begun, this.#conversions.done(begun.piece))
  }

  #streamFailed(streamed: StreamedPiece, error: Error): void {
    const { piece } = streamed
    if (this.#begun.get(piece) === streamed) this.#begun.delete(piece)
    this.#endStreamed(streamed)
    this.#events.error(error, piece)
  }

  #endStreamed(streamed: StreamedPiece, keep = false): void {
    const end = this.#streaming.end(streamed, keep)
    if (end !== undefined) this.#work.track(end)
  }

  /** Streams a piece from now on. Present blocks that are not in `written` stay in memory until they are written too. */
  #convert(piece: PieceIndex, buffer: PieceBuffer | undefined, written: readonly number[]): void {
    const isWritten = new Set(written)
    const rest = buffer?.present().filter((block) => !isWritten.has(block)) ?? []
    const asked = this.#table.blocks.get(piece)?.asked ?? 0
    const streamed = this.#streaming.adopt(piece, written, rest.length + asked)
    if (streamed === undefined) return
    if (buffer === undefined) this.#pool.waive()
    this.writers.detach(piece)
    this.#events.streamed(piece)
    this.#begun.set(piece, streamed)
    for (const block of rest) streamed.fill(block, buffer?.view(block))
  }

  #hasSpilled(piece: PieceIndex, failure: Error | undefined): void {
    this.#account.leave(-this.#layout.pieceLength)
    this.#pool.release()
    if (failure !== undefined) this.#events.error(failure, piece)
  }

  async #readBack(piece: PieceIndex, blocks: readonly number[]): Promise<void> {
    const buffer = this.#piece(piece)
    if (buffer instanceof StreamedPiece) return
    const isThere = await this.#spilled.readBack(buffer, blocks, (block) => {
      if (this.#begun.get(piece) !== buffer) return false
      if (block !== undefined) this.fill(piece, block)
      return true
    })
    if (isThere) return
    this.#forget(piece)
    this.#events.lost(piece)
  }

  /** Frees all memory when nothing is under way. */
  #rest(): void {
    this.#pool.clear()
    this.#begun.clear()
    this.whole.clear()
  }
}

function fail(error: Error): never {
  throw error
}
