import type { Layout } from '../metainfo/layout.ts'
import type { PieceProofs } from '../pieces/piece-proofs.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { equalBytes } from '../util/bytes.ts'
import type { PieceIndex } from '../util/indices.ts'
import type { AssemblyEvents } from './assembly-events.ts'
import { BadCopies } from './bad-copies.ts'
import { type BlockDigests, digestsOf } from './block-digests.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { PieceBuffer } from './piece-buffer.ts'
import type { Storage } from './storage.ts'
import { throwLater, type WorkTracker } from './work-tracker.ts'
import { WriteQueue } from './write-queue.ts'

/**
 * With so many bytes of whole pieces on their way to storage no more pieces are begun but for readers: a network that is faster than the
 * disk would only fill memory.
 */
const mostQueuedBytes = 16 << 20

/** Pieces in memory that came together: each is hashed, then written and forgotten if it is right, else kept as a bad copy. */
export class WholePieces {
  /** Copies that were wrong. */
  readonly bad: BadCopies
  readonly #table: PieceTable
  readonly #layout: Layout
  readonly #proofs: PieceProofs
  readonly #events: AssemblyEvents
  readonly #pool: BufferPool
  readonly #work: WorkTracker
  readonly #retired: () => void
  /** Whole, verified, and not yet in storage. */
  readonly #verified: WriteQueue
  /** Pieces. */
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

  /** Verified pieces that are not in storage yet. */
  get size(): number {
    return this.#verified.size
  }

  /** Whether storage is so far behind that no more pieces should be begun. */
  get areBehind(): boolean {
    return this.#verified.size >= this.#mostQueued
  }

  /** Takes a whole piece; nothing more of it may be written before `ready`. */
  add(buffer: PieceBuffer, ready: Promise<unknown> | undefined): void {
    const digest = ready === undefined ? buffer.readyDigest() : undefined
    if (digest !== undefined) this.#judge(buffer, digest)
    else this.#work.track(Promise.all([buffer.digest(), ready]).then(([late]) => this.#judge(buffer, late)))
  }

  /** Whether a verified piece is still being written. */
  holds(piece: PieceIndex): boolean {
    return this.#verified.get(piece) !== undefined
  }

  /** Copies bytes of a verified piece that is not yet in storage; undefined when it is not held here. */
  read(byteOffset: number, length: number): Uint8Array | undefined {
    const piece = this.#layout.pieceAt(byteOffset)
    const buffer = this.#verified.get(piece)
    if (buffer === undefined) return undefined
    const from = byteOffset - this.#layout.pieceOffset(piece)
    const bytes = buffer.bytes.subarray(from, from + length)
    // Memory of its own, and no part of the small buffers that Node shares out: the reader may give it away.
    const copy = Buffer.allocUnsafeSlow(bytes.length)
    copy.set(bytes)
    return copy
  }

  /** Storage has a verified piece. */
  stored(piece: PieceIndex): void {
    this.#table.setStored(piece)
    this.#events.written(piece)
  }

  /** Keeps no bad copy from now on. */
  close(): void {
    this.#closed = true
  }

  /** Gives the memory of its own lists back; nothing is in it. */
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
