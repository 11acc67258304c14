import { blockLength, type Layout } from '../metainfo/layout.ts'
import { equalBytes } from '../util/bytes.ts'
import { asError } from '../util/errors.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import type { MemoryAccount } from '../util/memory-budget.ts'
import { NumberMap } from '../util/number-map.ts'
import { blockDigests, blockDigestsInTurns } from './block-digests.ts'
import { PieceBuffer } from './piece-buffer.ts'
import type { Storage } from './storage.ts'
import { WriteQueue } from './write-queue.ts'

/** Bad copies kept for what is right in them, in bytes; one is kept of pieces that are larger. */
const badBytes = 16 << 20
/**
 * With so many bytes of whole pieces on their way to storage no more pieces are begun but for readers: a network that is faster than the
 * disk would only fill memory.
 */
const mostQueuedBytes = 16 << 20
/** Buffers kept for the next pieces while some are under way, in bytes: new memory costs more than all else that a piece costs. */
const spareBytes = 24 << 20

/** The blocks of a piece up to this size are digested in one turn of the event loop, in bytes. */
export const digestedAtOnce: number = 8 << 20

/** What an {@link Assembly} tells and asks. */
export interface AssemblyEvents {
  /** The SHA-1 that a piece should have. */
  expectedHash(piece: number): Uint8Array
  /** A block of a piece that is not whole is there: of a peer, from storage, or of a bad copy. */
  arrived(piece: number): void
  /**
   * The piece is whole and right; it is read from memory until it is written. `bytes` are borrowed for the call, or until the
   * promise that it returns is settled.
   */
  verified(piece: number, bytes: Uint8Array): Promise<void> | undefined
  /** The piece is whole and wrong; `digestOf` gives the SHA-1 of each of its blocks, within the call. */
  failed(piece: number, digestOf: (block: number) => Uint8Array): void
  /** The piece is in storage. */
  written(piece: number): void
  /** What was to be kept of a bad copy is not there any more. */
  unkept(piece: number): void
  /** Blocks that were stored earlier could not be read back: nothing of the piece is there. */
  lost(piece: number): void
  /** Storage failed; the piece is not there. */
  error(error: Error, piece: number): void
}

/**
 * Pieces between the network and storage: blocks come in, whole pieces are verified, written, and forgotten. Memory is
 * reserved in a budget when a piece is begun and given back once it is written or abandoned.
 */
export class Assembly {
  readonly #layout: Layout
  readonly #storage: Storage
  readonly #account: MemoryAccount
  readonly #events: AssemblyEvents
  /** Buffers of pieces that are done with, for the next ones. */
  readonly #spare: PieceBuffer[] = []
  readonly #mostSpare: number
  /** Pieces. */
  readonly #mostQueued: number
  readonly #stopReclaiming: () => void
  /** Pieces that memory is reserved for; the buffer is made with the first block. */
  readonly #begun = new NumberMap<PieceBuffer | undefined>()
  /** Whole, verified, and not yet in storage. */
  readonly #verified: WriteQueue
  readonly #stored = new LazyMap<number, readonly number[]>()
  /** Blocks that are being read back. */
  readonly #returning = new LazyMap<number, readonly number[]>()
  /** Writes of pieces that were spilled: what is read back must have been written. */
  readonly #spills = new LazyMap<number, Promise<void>>()
  /** Buffers that are being written by `save` or looked at, and so are not used again. */
  readonly #saving = new LazySet<PieceBuffer>()
  /** Bad copies of pieces that are fetched again; each holds on to the memory that was reserved for it. */
  readonly #bad = new LazyMap<number, PieceBuffer>()
  /** Bad copies that the piece goes on from when it is begun again, less some blocks. */
  readonly #kept = new LazySet<number>()
  readonly #work = new LazySet<Promise<void>>()
  #closed = false

  constructor(layout: Layout, storage: Storage, account: MemoryAccount, events: AssemblyEvents) {
    this.#layout = layout
    this.#storage = storage
    this.#account = account
    this.#events = events
    this.#stopReclaiming = account.budget.reclaimer(() => this.#dropBad())
    this.#mostQueued = Math.max(2, Math.floor(mostQueuedBytes / layout.pieceLength))
    this.#verified = new WriteQueue(layout, storage, (buffer, failure) => this.#written(buffer, failure))
    const spare = Math.min(spareBytes, account.budget.limit / 2)
    this.#mostSpare = Math.max(1, Math.floor(spare / layout.pieceLength))
  }

  /** Sets memory aside for a piece; false when there is none, or storage is behind: the holder of the account is told when to ask again. */
  reserve(piece: number, urgent: boolean): boolean {
    if (this.#closed || this.#begun.has(piece)) return !this.#closed
    if (this.#kept.delete(piece)) {
      this.#begun.set(piece, this.#bad.get(piece))
      this.#bad.delete(piece)
      this.#events.arrived(piece)
      return true
    }
    if (!urgent && this.#verified.size >= this.#mostQueued) {
      this.#account.wait()
      return false
    }
    if (!this.#account.reserve(this.#layout.pieceLength, urgent)) return false
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
    // Somebody may still be writing into the buffer, so it is not used again.
    this.#begun.delete(piece)
    this.#free()
  }

  /**
   * Gives the memory of an incomplete piece back once its blocks are in storage; they are read back when the piece is reserved
   * again. False, and nothing happens, when nothing of it is there. Blocks that are being written by a sender are lost.
   */
  spill(piece: number): boolean {
    const buffer = this.#begun.get(piece)
    if (buffer === undefined || this.#closed || buffer.present().length === 0) return false
    this.#begun.delete(piece)
    const blocks = this.#blocksOf(buffer)
    this.#stored.set(piece, blocks)
    this.#account.leave(this.#layout.pieceLength)
    const spill = this.#spillBlocks(buffer, this.#spills.get(piece)).finally(() => {
      if (this.#spills.get(piece) === spill) this.#spills.delete(piece)
    })
    this.#spills.set(piece, spill)
    this.#track(spill)
    return true
  }

  /** Blocks of a piece that stand in storage, unverified, from before. */
  stored(piece: number, blocks: readonly number[]): void {
    this.#stored.set(piece, blocks)
  }

  /** Where a sender may write a block; undefined if another writes there now, or the piece is not begun. */
  claim(piece: number, block: number): Uint8Array | undefined {
    return this.#begun.has(piece) ? this.#buffer(piece).claim(block) : undefined
  }

  /** Whether a sender writes a block now. */
  isClaimed(piece: number, block: number): boolean {
    return this.#begun.get(piece)?.isClaimed(block) === true
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
    else this.#events.arrived(piece)
  }

  /** Forgets the bytes of blocks of an incomplete piece, and returns those that were there. */
  discard(piece: number, blocks: readonly number[]): readonly number[] {
    const buffer = this.#begun.get(piece)
    return buffer === undefined ? [] : blocks.filter((block) => buffer.discard(block))
  }

  /**
   * The next copy of a piece that has just failed begins with these blocks of the bad one. Returns them, or nothing if the bad one was
   * not kept.
   */
  keep(piece: number, blocks: readonly number[]): readonly number[] {
    const bad = this.#bad.get(piece)
    if (bad === undefined) return []
    const kept = new Set(blocks)
    for (const block of bad.present()) if (!kept.has(block)) bad.discard(block)
    this.#kept.add(piece)
    return blocks
  }

  /**
   * Copies these blocks of the last bad copy of a piece into the one under way, where they are neither there nor being written;
   * `accept` is called before each.
   */
  salvage(piece: number, blocks: readonly number[], accept: (block: number) => void): void {
    const bad = this.#bad.get(piece)
    if (bad === undefined || !this.#begun.has(piece)) return
    const buffer = this.#buffer(piece)
    for (const block of blocks) {
      // The last of them may have made the piece whole, and ended it.
      if (this.#begun.get(piece) !== buffer) return
      if (!bad.has(block) || buffer.claim(block) === undefined) continue
      accept(block)
      this.fill(piece, block, bad.view(block))
    }
  }

  /**
   * Copies the blocks of a piece under way that are there from an offset on, without a gap and unverified; undefined when the
   * first byte is not there.
   */
  peek(byteOffset: number, length: number): Uint8Array | undefined {
    const piece = this.#layout.pieceAt(byteOffset)
    const buffer = this.#begun.get(piece)
    const from = byteOffset - this.#layout.pieceOffset(piece)
    let end = from
    while (end < from + length && buffer?.has(Math.floor(end / blockLength)) === true) {
      end = Math.min(buffer.size, (Math.floor(end / blockLength) + 1) * blockLength)
    }
    if (buffer === undefined || end === from) return undefined
    return new Uint8Array(buffer.bytes.subarray(from, Math.min(end, from + length)))
  }

  /** Whether a verified piece is still being written. */
  holds(piece: number): boolean {
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

  /**
   * Writes the blocks of incomplete pieces to storage, for a later run, and returns which they are. Pieces that were
   * never begun again since an earlier run are among them. The first fault of storage goes to
   * `onFailure`, which by default throws it.
   */
  async save(onFailure: (error: Error) => void = rethrow): Promise<Map<number, readonly number[]>> {
    let failed = false
    const saved = new Map(this.#stored)
    for (const [piece, buffer] of [...this.#begun]) {
      if (buffer === undefined || this.#begun.get(piece) !== buffer) continue
      const blocks = this.#blocksOf(buffer)
      if (blocks.length === 0) continue
      this.#saving.add(buffer)
      try {
        await this.#writeBlocks(buffer)
        saved.set(piece, blocks)
      } catch (thrown) {
        if (!failed) onFailure(asError(thrown))
        failed = true
      } finally {
        this.#saving.delete(buffer)
      }
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
    this.#stopReclaiming()
    while (this.#dropBad());
    this.#rest()
    this.#account.close()
  }

  #buffer(piece: number): PieceBuffer {
    let buffer = this.#begun.get(piece)
    if (buffer === undefined) {
      const size = this.#layout.pieceSize(piece)
      buffer = this.#spare.pop() ?? new PieceBuffer(Buffer.allocUnsafeSlow(this.#layout.pieceLength))
      buffer.begin(piece, size)
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
      this.#dropBad(buffer.piece)
      const writing = this.#verified.add(buffer)
      if (writing !== undefined) this.#track(writing)
      const inspection = this.#events.verified(buffer.piece, buffer.bytes)
      if (inspection !== undefined) this.#track(this.#holding(buffer, inspection))
    } else if (buffer.size <= digestedAtOnce) this.#fail(buffer, blockDigests(buffer.bytes))
    else this.#track(this.#failInTurns(buffer))
  }

  #fail(buffer: PieceBuffer, digestOf: (block: number) => Uint8Array): void {
    this.#keepBad(buffer)
    this.#events.failed(buffer.piece, digestOf)
  }

  async #failInTurns(buffer: PieceBuffer): Promise<void> {
    const digestOf = await blockDigestsInTurns(buffer.bytes)
    if (this.#closed) this.#retire(buffer)
    else this.#fail(buffer, digestOf)
  }

  /** The memory of a piece is not used again before that is over. */
  async #holding(buffer: PieceBuffer, work: Promise<void>): Promise<void> {
    this.#saving.add(buffer)
    try {
      await work
    } finally {
      this.#saving.delete(buffer)
    }
  }

  #keepBad(buffer: PieceBuffer): void {
    this.#dropBad(buffer.piece)
    const most = Math.max(1, Math.floor(badBytes / this.#layout.pieceLength))
    if (this.#bad.size >= most) this.#dropBad()
    this.#bad.set(buffer.piece, buffer)
  }

  /** Gives up the bad copy of a piece, by default of the one that failed first; false when there is none. */
  #dropBad(piece: number | undefined = this.#oldestBad()): boolean {
    const buffer = piece === undefined ? undefined : this.#bad.get(piece)
    if (piece === undefined || buffer === undefined) return false
    this.#bad.delete(piece)
    if (this.#kept.delete(piece) && !this.#closed) this.#events.unkept(piece)
    this.#retire(buffer)
    return true
  }

  /** Those that a piece goes on from are given up last. */
  #oldestBad(): number | undefined {
    for (const piece of this.#bad.keys()) if (!this.#kept.has(piece)) return piece
    const [first] = this.#kept
    return first
  }

  #written(buffer: PieceBuffer, failure: Error | undefined): void {
    try {
      if (failure === undefined) this.#events.written(buffer.piece)
      else this.#events.error(failure, buffer.piece)
    } catch (thrown) {
      throwLater(thrown)
    }
    this.#retire(buffer)
  }

  /** Writes the blocks that are there, each run of them at once. */
  async #writeBlocks(buffer: PieceBuffer): Promise<void> {
    const { piece, bytes, size } = buffer
    const blocks = buffer.present()
    for (let at = 0; at < blocks.length; ) {
      const first = blocks[at] ?? 0
      let count = 1
      while (blocks[at + count] === first + count) count++
      const from = first * blockLength
      const run = bytes.subarray(from, Math.min(size, from + count * blockLength))
      await this.#storage.write(this.#layout.pieceOffset(piece) + from, [run])
      at += count
    }
  }

  async #spillBlocks(buffer: PieceBuffer, before: Promise<void> | undefined): Promise<void> {
    const { piece } = buffer
    await before
    let failure: Error | undefined
    try {
      await this.#writeBlocks(buffer)
    } catch (thrown) {
      failure = asError(thrown)
      this.#stored.delete(piece)
    }
    try {
      if (failure !== undefined) this.#events.error(failure, piece)
    } finally {
      this.#free(true)
    }
  }

  /** The blocks of a piece that are there or in storage. */
  #blocksOf(buffer: PieceBuffer): readonly number[] {
    const returning = this.#returning.get(buffer.piece) ?? []
    return [...new Set([...buffer.present(), ...returning])].sort((a, b) => a - b)
  }

  async #readBack(piece: number, blocks: readonly number[]): Promise<void> {
    const buffer = this.#buffer(piece)
    this.#returning.set(piece, blocks)
    // Claimed at once, so that no sender writes there.
    const targets = blocks.map((block) => ({ block, target: buffer.claim(block) }))
    try {
      await this.#spills.get(piece)
      await this.#readBlocks(buffer, targets)
    } finally {
      if (this.#returning.get(piece) === blocks) this.#returning.delete(piece)
    }
  }

  async #readBlocks(
    buffer: PieceBuffer,
    targets: readonly { readonly block: number; readonly target: Uint8Array | undefined }[]
  ): Promise<void> {
    const { piece } = buffer
    for (const { block, target } of targets) {
      if (this.#begun.get(piece) !== buffer) return
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
    const tracked = work.catch(throwLater).finally(() => this.#work.delete(tracked))
    this.#work.add(tracked)
  }

  /** A piece is done with. */
  #retire(buffer: PieceBuffer): void {
    if (!this.#saving.has(buffer) && this.#spare.length < this.#mostSpare) this.#spare.push(buffer)
    if (this.#begun.size === 0 && this.#verified.size === 0) this.#rest()
    this.#free()
  }

  /** With nothing under way no memory is held. */
  #rest(): void {
    this.#spare.length = 0
    this.#begun.clear()
    this.#verified.clear()
  }

  #free(left = false): void {
    this.#account.release(this.#layout.pieceLength, left)
  }
}

/** What a listener throws is a fault of the program and shows as one; it must not keep others from closing. */
function throwLater(thrown: unknown): void {
  process.nextTick(() => {
    throw thrown
  })
}

function rethrow(error: Error): never {
  throw error
}
