import { RunningHash } from '../hash/running-hash.ts'
import { blockLength, type Layout } from '../metainfo/layout.ts'
import { asError } from '../util/errors.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import { shareTurn } from '../util/turn-share.ts'
import { type BlockDigests, blockDigests } from './block-digests.ts'
import type { Storage } from './storage.ts'

/** Blocks that stand one after the other are written together up to so many. */
const mostRun = 64
/** Bytes that are read back at a time to be hashed. */
export const sliceBytes: number = 8 * blockLength
/** Zeros of padding, which are written and hashed so many at a time. */
const zeros = new Uint8Array(sliceBytes)

/** A block is in exactly one of these states; a kept one is in memory or being written, and then stored. */
const absent = 0
const claimed = 1
const kept = 2
const stored = 3

/** Events of a {@link StreamedPiece}. */
export interface StreamedPieceEvents {
  /** The memory of so many blocks is free again. */
  freed(blocks: number): void
  /** Storage failed; the piece does nothing more. */
  failed(error: Error): void
}

/**
 * A piece that memory is not there for as a whole: each block goes to storage as it comes, and is read back from there to be hashed.
 * Memory is held by blocks that are not written yet, and by the slice that is hashed.
 */
export class StreamedPiece {
  readonly piece: PieceIndex
  /** Bytes that blocks come for. */
  readonly size: number
  /** Bytes of padding behind them (BEP 47). */
  readonly #padding: number
  /** Blocks that memory is reserved for, set by the owner of the reservation. */
  reserved = 0
  readonly #storage: Storage
  readonly #events: StreamedPieceEvents
  readonly #byteOffset: number
  readonly #states: Uint8Array
  #missing: number
  /** Memory of claimed and kept blocks, oldest first, and of those that are being written. */
  readonly #claimed = new Map<number, Uint8Array>()
  readonly #kept = new Map<number, Uint8Array>()
  readonly #writing = new Map<number, Uint8Array>()
  /** Blocks that are being written, those among them that were discarded since. */
  #run = 0
  /** An earlier generation of the piece may write until then. */
  readonly #ready: Promise<unknown> | undefined
  #writer: Promise<void> | undefined
  #hasher: Promise<void> | undefined
  #hash = new RunningHash('sha1')
  /** Bytes from the first on that are hashed. */
  #hashed = 0
  /** Counts what makes bytes that were read invalid. */
  #changes = 0
  #ended = false
  #lost = false

  /** A piece of which the blocks `present` are in storage already. Nothing is written or read before `ready`. */
  constructor(
    layout: Layout,
    storage: Storage,
    piece: PieceIndex,
    present: readonly number[],
    ready: Promise<unknown> | undefined,
    events: StreamedPieceEvents
  ) {
    this.piece = piece
    this.size = layout.requestSize(piece)
    this.#padding = layout.pieceSize(piece) - this.size
    this.#storage = storage
    this.#events = events
    this.#byteOffset = layout.pieceOffset(piece)
    this.#states = new Uint8Array(layout.blockCount(piece))
    for (const block of present) this.#states[block] = stored
    this.#missing = this.#states.reduce((count, state) => count + (state === stored ? 0 : 1), 0)
    this.#ready = ready
  }

  /** Whether every block is there. */
  get complete(): boolean {
    return this.#missing === 0
  }

  /** Whether it does nothing more: it was ended, or storage has failed. */
  get ended(): boolean {
    return this.#ended
  }

  /** Blocks that take memory: kept ones, and those that are being written. */
  get unwritten(): number {
    return this.#kept.size + this.#run
  }

  /** Whether a block is there, in memory or in storage. */
  has(block: BlockIndex): boolean {
    return (this.#states[block] ?? absent) >= kept
  }

  /** Whether a sender writes a block now. */
  isClaimed(block: BlockIndex): boolean {
    return this.#states[block] === claimed
  }

  /** The blocks that are there. */
  present(): number[] {
    const list: number[] = []
    for (let block = 0; block < this.#states.length; block++) if (this.has(block)) list.push(block)
    return list
  }

  /** Memory for an absent block to write into, which is then the caller's alone; undefined if there is none. */
  claim(block: BlockIndex): Uint8Array | undefined {
    if (this.#states[block] !== absent) return undefined
    if (this.#claimed.size + this.unwritten >= this.reserved) return undefined
    const memory = Buffer.allocUnsafeSlow(Math.min(blockLength, this.size - block * blockLength))
    this.#claimed.set(block, memory)
    this.#states[block] = claimed
    return memory
  }

  /** Gives up a claim without having written the block whole. */
  unclaim(block: BlockIndex): void {
    if (this.#states[block] !== claimed) return
    this.#claimed.delete(block)
    this.#states[block] = absent
  }

  /** Keeps a block until it is written: copies `data`, or takes what the holder of the claim has written. */
  fill(block: BlockIndex, data?: Uint8Array): void {
    if (this.#ended || this.#states[block] === undefined || this.has(block)) return
    const memory = data === undefined ? this.#claimed.get(block) : copyOf(data)
    if (memory === undefined) return
    this.#claimed.delete(block)
    this.#kept.set(block, memory)
    this.#states[block] = kept
    this.#missing--
    this.#writer ??= this.#write()
  }

  /** Says that an absent block is in storage. */
  recover(block: BlockIndex): void {
    if (this.#states[block] !== absent) return
    this.#states[block] = stored
    this.#missing--
    this.#follow()
  }

  /** Makes a block that is there absent again; false when it was not there. */
  discard(block: BlockIndex): boolean {
    if (!this.has(block)) return false
    this.#states[block] = absent
    this.#missing++
    this.#changes++
    // Memory that is being written is told to be free afterwards.
    this.#writing.delete(block)
    if (this.#kept.delete(block)) this.#events.freed(1)
    if (block * blockLength < this.#hashed) this.#rehash()
    return true
  }

  /**
   * Copies what is there from an offset in the piece on, without a gap; undefined when the first byte is not there, or what was read does
   * not count any more.
   */
  peek(from: number, length: number): Uint8Array | Promise<Uint8Array | undefined> | undefined {
    const first = Math.floor(from / blockLength)
    if (!this.has(first)) return undefined
    const inMemory = this.#kept.get(first) ?? this.#writing.get(first)
    if (inMemory !== undefined) {
      const start = from - first * blockLength
      return new Uint8Array(inMemory.subarray(start, start + length))
    }
    let end = first + 1
    while (this.#states[end] === stored && end * blockLength < from + length) end++
    return this.#read(from, new Uint8Array(Math.min(this.size, from + length, end * blockLength) - from))
  }

  /** Resolves when all blocks that are there are in storage, or it has failed. */
  async written(): Promise<void> {
    while (this.#writer !== undefined) await this.#writer
  }

  /** The SHA-1 of the complete piece; undefined when it cannot be read back or storage has failed. */
  async digest(): Promise<Uint8Array | undefined> {
    await this.written()
    while (!this.#ended && !this.#lost && this.#hashed < this.size) {
      this.#follow()
      await this.#hasher
    }
    if (this.#padding > 0 && !this.#ended && !this.#lost) await this.#pad()
    return this.#ended || this.#lost ? undefined : this.#hash.digest()
  }

  /** The SHA-1 of each block of the complete piece, as far as it can be read back. */
  async digests(): Promise<BlockDigests> {
    const digests: (Uint8Array | undefined)[] = []
    const slice = Buffer.allocUnsafeSlow(sliceBytes)
    for (let from = 0; from < this.size; from += sliceBytes) {
      await shareTurn()
      const target = slice.subarray(0, this.size - from)
      const bytes = await this.#read(from, target)
      const digestOf = blockDigests(bytes?.length === target.length ? bytes : new Uint8Array(0))
      for (let at = 0; at < slice.length / blockLength; at++) digests.push(digestOf(at))
    }
    return (block) => digests[block]
  }

  /** Ends the piece: what is kept and not being written is forgotten. Idempotent. */
  end(): void {
    this.#ended = true
    this.#kept.clear()
    this.#claimed.clear()
  }

  /** Whether storage has nothing to do with the piece now. */
  get idle(): boolean {
    return this.#writer === undefined && this.#hasher === undefined
  }

  /** Resolves when storage has nothing to do with an ended piece. */
  async settled(): Promise<void> {
    while (!this.idle) await Promise.all([this.#writer, this.#hasher])
  }

  async #write(): Promise<void> {
    // Also without a promise: all that came with it is there then, too.
    await this.#ready
    while (this.#kept.size > 0 && !this.#ended) {
      const first = this.#beginRun()
      const count = this.#writing.size
      this.#run = count
      const chunks = [...this.#writing.values()]
      try {
        await this.#storage.write(this.#byteOffset + first * blockLength, chunks)
      } catch (thrown) {
        this.#writer = undefined
        if (this.#ended) return
        this.#ended = true
        this.#events.failed(asError(thrown))
        return
      }
      for (const block of this.#writing.keys()) this.#states[block] = stored
      this.#writing.clear()
      this.#run = 0
      if (this.#ended) break
      this.#follow()
      this.#events.freed(count)
    }
    this.#writer = undefined
  }

  /** Writes and hashes the padding of the complete piece, which never comes. */
  async #pad(): Promise<void> {
    const start = this.#byteOffset + this.size
    for (let at = 0; at < this.#padding && !this.#ended; at += zeros.length) {
      const part = zeros.subarray(0, this.#padding - at)
      this.#hash.update(part)
      try {
        await this.#storage.write(start + at, [part])
      } catch (thrown) {
        if (this.#ended) return
        this.#ended = true
        this.#events.failed(asError(thrown))
      }
    }
  }

  /** The block that waits longest and those that follow or stand before it, as far as they wait, are being written. */
  #beginRun(): number {
    const [oldest = 0] = this.#kept.keys()
    let first = oldest
    while (this.#kept.has(first - 1) && oldest - first < mostRun / 2) first--
    for (let block = first; block < first + mostRun; block++) {
      const memory = this.#kept.get(block)
      if (memory === undefined) break
      this.#kept.delete(block)
      this.#writing.set(block, memory)
    }
    return first
  }

  /** Hashes what is in storage without a gap from the first byte on, by and by. */
  #follow(): void {
    if (this.#hasher !== undefined || this.#nextSlice() === 0) return
    this.#hasher = this.#hashOn().finally(() => {
      this.#hasher = undefined
    })
  }

  async #hashOn(): Promise<void> {
    const slice = Buffer.allocUnsafeSlow(sliceBytes)
    for (let length = this.#nextSlice(); length > 0 && !this.#lost; length = this.#nextSlice()) {
      await shareTurn()
      const bytes = await this.#read(this.#hashed, slice.subarray(0, length))
      if (bytes === undefined) continue
      if (bytes.length < length) this.#lost = true
      else this.#hash.update(bytes)
      this.#hashed += length
    }
  }

  /** How many bytes are hashed next: a whole slice, or what is left. */
  #nextSlice(): number {
    if (this.#ended) return 0
    const end = Math.min(this.size, this.#hashed + sliceBytes)
    for (let at = this.#hashed; at < end; at += blockLength)
      if (this.#states[Math.floor(at / blockLength)] !== stored) return 0
    return end - this.#hashed
  }

  #rehash(): void {
    this.#hash = new RunningHash('sha1')
    this.#hashed = 0
  }

  /** Reads bytes of stored blocks; fewer when storage has lost some, undefined when they do not count any more. */
  async #read(from: number, target: Uint8Array): Promise<Uint8Array | undefined> {
    const changes = this.#changes
    await this.#ready
    const got = await this.#storage.read(this.#byteOffset + from, target).catch(() => 0)
    return this.#ended || changes !== this.#changes ? undefined : target.subarray(0, got)
  }
}

function copyOf(data: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(data.length)
  copy.set(data)
  return copy
}
