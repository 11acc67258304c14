import { blockLength, type Layout } from '../metainfo/layout.ts'
import { BufferPool } from '../util/buffer-pool.ts'
import { equalBytes } from '../util/bytes.ts'
import { asError } from '../util/errors.ts'
import type { MemoryBudget } from '../util/memory-budget.ts'
import { PieceBuffer } from './piece-buffer.ts'
import type { Storage } from './storage.ts'

/** Spare buffers kept for the next pieces, in bytes. */
const spareBytes = 16 << 20

/** What an {@link Assembly} tells and asks. */
export interface AssemblyEvents {
  /** The SHA-1 that a piece should have. */
  expectedHash(piece: number): Uint8Array
  /** The piece is whole and right; it is read from memory until it is written. `bytes` are borrowed for the call. */
  verified(piece: number, bytes: Uint8Array): void
  /** The piece is whole and wrong; `bytes` are borrowed for the call. */
  failed(piece: number, bytes: Uint8Array): void
  /** The piece is in storage. */
  written(piece: number): void
  /** Blocks that were stored earlier could not be read back: nothing of the piece is there. */
  lost(piece: number): void
  /** Storage failed; the piece is not there. */
  error(error: Error, piece: number): void
  /** Memory was given back. */
  freed(): void
}

/**
 * Pieces between the network and storage: blocks come in, whole pieces are verified, written, and forgotten. Memory is
 * reserved in a budget when a piece is begun and given back once it is written or abandoned.
 */
export class Assembly {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #budget: MemoryBudget
  readonly #events: AssemblyEvents
  readonly #pool: BufferPool
  /** Pieces that memory is reserved for; the buffer is made with the first block. */
  readonly #begun = new Map<number, PieceBuffer | undefined>()
  /** Whole, verified, and not yet in storage. */
  readonly #verified = new Map<number, PieceBuffer>()
  readonly #stored = new Map<number, readonly number[]>()
  readonly #work = new Set<Promise<void>>()
  #closed = false

  constructor(layout: Layout, storage: Storage, budget: MemoryBudget, events: AssemblyEvents) {
    this.#layout = layout
    this.#storage = storage
    this.#budget = budget
    this.#events = events
    this.#pool = new BufferPool(layout.pieceLength, Math.max(1, Math.floor(spareBytes / layout.pieceLength)))
  }

  /** Sets memory aside for a piece; false when the budget has none. */
  reserve(piece: number, urgent: boolean): boolean {
    if (this.#closed || this.#begun.has(piece)) return !this.#closed
    if (!this.#budget.reserve(this.#layout.pieceLength, urgent)) return false
    this.#begun.set(piece, undefined)
    const blocks = this.#stored.get(piece)
    if (blocks !== undefined) {
      this.#stored.delete(piece)
      this.#track(this.#readBack(piece, blocks))
    }
    return true
  }

  /** Forgets a piece that was begun. */
  abandon(piece: number): void {
    if (!this.#begun.has(piece)) return
    const buffer = this.#begun.get(piece)
    this.#begun.delete(piece)
    // Somebody may still be writing into the buffer, so it does not go back to the pool.
    void buffer
    this.#free()
  }

  /** Blocks of a piece that stand in storage, unverified, from before. */
  stored(piece: number, blocks: readonly number[]): void {
    this.#stored.set(piece, blocks)
  }

  /** Where a sender may write a block; undefined if another writes there now, or the piece is not begun. */
  claim(piece: number, block: number): Uint8Array | undefined {
    return this.#begun.has(piece) ? this.#buffer(piece).claim(block) : undefined
  }

  /** The sender of a claimed block is gone. */
  unclaim(piece: number, block: number): void {
    this.#begun.get(piece)?.unclaim(block)
  }

  /** A block is whole: `data` is copied, or undefined when it was written into the claimed memory. */
  fill(piece: number, block: number, data?: Uint8Array): void {
    if (!this.#begun.has(piece)) return
    const buffer = this.#buffer(piece)
    buffer.fill(block, data)
    if (buffer.complete) this.#complete(buffer)
  }

  /** Whether a verified piece is still being written. */
  holds(piece: number): boolean {
    return this.#verified.has(piece)
  }

  /** Copies bytes of a verified piece that is not yet in storage; undefined when it is not held here. */
  read(byteOffset: number, length: number): Uint8Array | undefined {
    const piece = this.#layout.pieceAt(byteOffset)
    const buffer = this.#verified.get(piece)
    if (buffer === undefined) return undefined
    const from = byteOffset - this.#layout.pieceOffset(piece)
    return Buffer.from(buffer.bytes.subarray(from, from + length))
  }

  /**
   * Writes the blocks of incomplete pieces to storage, for a later run, and returns which they are. Pieces that were
   * never begun again since an earlier run are among them.
   */
  async save(): Promise<Map<number, readonly number[]>> {
    const saved = new Map(this.#stored)
    for (const [piece, buffer] of this.#begun) {
      const blocks = buffer?.present() ?? []
      if (buffer === undefined || blocks.length === 0) continue
      for (let at = 0; at < blocks.length; ) {
        const first = blocks[at] ?? 0
        let count = 1
        while (blocks[at + count] === first + count) count++
        const from = first * blockLength
        const run = buffer.bytes.subarray(from, Math.min(buffer.size, from + count * blockLength))
        await this.#storage.write(this.#layout.pieceOffset(piece) + from, [run])
        at += count
      }
      saved.set(piece, blocks)
    }
    return saved
  }

  /** Resolves when no piece is being verified or written. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work)
  }

  /** Gives all memory back and takes nothing more; what is being written is finished. */
  async close(): Promise<void> {
    this.#closed = true
    await this.idle()
    for (const piece of [...this.#begun.keys()]) this.abandon(piece)
    this.#pool.clear()
  }

  #buffer(piece: number): PieceBuffer {
    let buffer = this.#begun.get(piece)
    if (buffer === undefined) {
      buffer = new PieceBuffer(piece, this.#layout.pieceSize(piece), this.#pool.take())
      this.#begun.set(piece, buffer)
    }
    return buffer
  }

  #complete(buffer: PieceBuffer): void {
    this.#begun.delete(buffer.piece)
    const ready = buffer.readyDigest()
    if (ready === undefined) this.#track(buffer.digest().then((digest) => this.#judge(buffer, digest)))
    else this.#judge(buffer, ready)
  }

  #judge(buffer: PieceBuffer, digest: Uint8Array): void {
    if (equalBytes(digest, this.#events.expectedHash(buffer.piece))) {
      this.#verified.set(buffer.piece, buffer)
      this.#track(this.#write(buffer))
      this.#events.verified(buffer.piece, buffer.bytes)
    } else {
      this.#events.failed(buffer.piece, buffer.bytes)
      this.#pool.give(buffer.memory)
      this.#free()
    }
  }

  async #write(buffer: PieceBuffer): Promise<void> {
    const { piece } = buffer
    try {
      await this.#storage.write(this.#layout.pieceOffset(piece), [buffer.bytes])
      this.#verified.delete(piece)
      this.#events.written(piece)
    } catch (thrown) {
      this.#verified.delete(piece)
      this.#events.error(asError(thrown), piece)
    }
    this.#pool.give(buffer.memory)
    this.#free()
  }

  async #readBack(piece: number, blocks: readonly number[]): Promise<void> {
    const buffer = this.#buffer(piece)
    for (const block of blocks) {
      const target = buffer.claim(block)
      if (target === undefined) continue
      const at = this.#layout.pieceOffset(piece) + block * blockLength
      const got = await this.#storage.read(at, target).catch(() => 0)
      if (this.#begun.get(piece) !== buffer) return
      if (got < target.length) {
        this.abandon(piece)
        this.#events.lost(piece)
        return
      }
      this.fill(piece, block)
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#work.delete(tracked))
    this.#work.add(tracked)
  }

  #free(): void {
    this.#budget.release(this.#layout.pieceLength)
    this.#events.freed()
  }
}
