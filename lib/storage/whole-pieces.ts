import type { Layout } from '../metainfo/layout.ts'
import type { PieceProofs } from '../pieces/piece-proofs.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { equalBytes } from '../util/bytes.ts'
import type { PieceIndex } from '../util/indices.ts'
import { throwLater } from '../util/user-code.ts'
import type { AssemblyEvents } from './assembly-events.ts'
import { BadCopies } from './bad-copies.ts'
import { type BlockDigests, digestsOf } from './block-digests.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { PieceBuffer } from './piece-buffer.ts'
import type { Storage } from './storage.ts'
import type { WorkTracker } from './work-tracker.ts'
import { WriteQueue } from './write-queue.ts'

/**
 * Limit of complete pieces that wait to be written, in bytes. Above it, only readers may begin pieces, because a network faster than the
 * disk would only fill memory.
 */
const mostQueuedBytes = 16 << 20

/** Complete pieces in memory. Each is hashed, then written and freed if its hash matches, otherwise kept as a bad copy. */
export class WholePieces {
  /** Copies whose hash did not match. */
  readonly bad: BadCopies
  readonly #table: PieceTable
  readonly #layout: Layout
  readonly #proofs: PieceProofs
  readonly #events: AssemblyEvents
  readonly #pool: BufferPool
  readonly #work: WorkTracker
  readonly #retired: () => void
  /** Complete and verified pieces that are not stored yet. */
  readonly #verified: WriteQueue
  readonly #mostQueued: number
  #closed = false

  /** Calls `retired` when the memory of a piece is free. */
  constructor(
    table: PieceTable,
    storage: Storage,
    pool: BufferPool,
    work: WorkTracker,
    proofs: PieceProofs,
    events: AssemblyEvents,
    retired: () => void
  ) {
    const { layout } = table
    this.#table = table
    this.#layout = layout
    this.#proofs = proofs
    this.#events = events
    this.#pool = pool
    this.#work = work
    this.#retired = retired
    this.#mostQueued = Math.max(2, Math.floor(mostQueuedBytes / layout.pieceLength))
    this.bad = new BadCopies(layout.pieceLength, (buffer, wasKept) => {
      if (wasKept) table.blocks.forget(buffer.piece)
      this.#retire(buffer)
    })
    this.#verified = new WriteQueue(layout, storage, (buffer, failure) => this.#written(buffer, failure))
  }

  /** Number of verified pieces that are not stored yet. */
  get size(): number {
    return this.#verified.size
  }

  /** Whether storage is so far behind that only readers may begin more pieces. */
  get isBehind(): boolean {
    return this.#verified.size >= this.#mostQueued
  }

  /** Verifies a complete piece, then writes it; the write waits for `ready`. */
  add(buffer: PieceBuffer, ready: Promise<unknown> | undefined): void {
    const digest = ready === undefined ? buffer.readyDigest() : undefined
    if (digest !== undefined) this.#judge(buffer, digest)
    else this.#work.track(Promise.all([buffer.digest(), ready]).then(([late]) => this.#judge(buffer, late)))
  }

  /** Returns whether a verified piece is still being written. */
  holds(piece: PieceIndex): boolean {
    return this.#verified.get(piece) !== undefined
  }

  /** Copies bytes of a verified piece that is not stored yet; undefined when the piece is not held here. */
  read(byteOffset: number, length: number): Uint8Array | undefined {
    const piece = this.#layout.pieceAt(byteOffset)
    const buffer = this.#verified.get(piece)
    if (buffer === undefined) return undefined
    const from = byteOffset - this.#layout.pieceOffset(piece)
    const bytes = buffer.bytes.subarray(from, from + length)
    // The copy has memory of its own, not a part of Node's shared buffer pool, because the reader may transfer it.
    const copy = Buffer.allocUnsafeSlow(bytes.length)
    copy.set(bytes)
    return copy
  }

  /** Marks a verified piece as stored. */
  stored(piece: PieceIndex): void {
    this.#table.setStored(piece)
    this.#events.written(piece)
  }

  /** Stops keeping bad copies. */
  close(): void {
    this.#closed = true
  }

  /** Frees the memory of the empty queue. */
  clear(): void {
    this.#verified.clear()
  }

  #judge(buffer: PieceBuffer, digest: Uint8Array): void {
    const { piece } = buffer
    if (equalBytes(digest, this.#proofs.sha1(piece))) {
      this.bad.drop(piece)
      const writing = this.#verified.add(buffer)
      if (writing !== undefined) this.#work.track(writing)
      const inspection = this.#events.verified(piece, () => digestsOf(buffer.requested))
      if (inspection !== undefined) this.#work.track(this.#pool.pinned(buffer, inspection))
      return
    }
    const digests = digestsOf(buffer.requested)
    if ('then' in digests) this.#work.track(digests.then((digestOf) => this.#fail(buffer, digestOf)))
    else this.#fail(buffer, digests)
  }

  #fail(buffer: PieceBuffer, digestOf: BlockDigests): void {
    if (this.#closed) {
      this.#retire(buffer)
      return
    }
    this.bad.add(buffer)
    this.#events.failed(buffer.piece, digestOf)
  }

  #written(buffer: PieceBuffer, failure: Error | undefined): void {
    try {
      if (failure === undefined) this.stored(buffer.piece)
      else this.#events.error(failure, buffer.piece)
    } catch (thrown) {
      throwLater(thrown)
    }
    this.#retire(buffer)
  }

  #retire(buffer: PieceBuffer): void {
    this.#pool.release(buffer)
    this.#retired()
  }
}
