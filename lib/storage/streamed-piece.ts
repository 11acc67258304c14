import { RunningHash } from '../hash/running-hash.ts'
import { blockLength, type Layout } from '../metainfo/layout.ts'
import { asError } from '../util/errors.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import { yieldToEventLoop } from '../util/slices.ts'
import { type BlockDigests, blockDigests } from './block-digests.ts'
import type { Storage } from './storage.ts'

/** Maximum number of adjacent blocks written together. */
const mostRun = 64
/** Bytes read back at a time for hashing. */
export const sliceBytes: number = 8 * blockLength
/** Zeros of padding, written and hashed in slices of this size. */
const zeros = new Uint8Array(sliceBytes)

/** States of a block. A kept block is in memory, waiting or being written, and then stored. */
const absent = 0
const claimed = 1
const kept = 2
const stored = 3

/** Callbacks of a {@link StreamedPiece}. */
export interface StreamedPieceEvents {
  /** Called when the memory of `blocks` blocks is free again. */
  freed(blocks: number): void
  /** Called when storage failed; the piece has ended. */
  failed(error: Error): void
}

/**
 * A piece without memory for the whole of it: each block is written to storage when it arrives, and read back for hashing. Only unwritten
 * blocks and the slice being hashed take memory.
 */
export class StreamedPiece {
  readonly piece: PieceIndex
  /** Bytes that are requested from peers. */
  readonly size: number
  /** Bytes of padding after them (BEP 47). */
  readonly #padding: number
  /** Number of blocks with reserved memory; set by the owner of the reservation. */
  reserved = 0
  readonly #storage: Storage
  readonly #events: StreamedPieceEvents
  readonly #byteOffset: number
  readonly #states: Uint8Array
  #missing: number
  /** Memory of claimed, kept (oldest first) and currently written blocks. */
  readonly #claimed = new Map<number, Uint8Array>()
  readonly #kept = new Map<number, Uint8Array>()
  readonly #writing = new Map<number, Uint8Array>()
  /** Number of blocks being written, including blocks that were discarded meanwhile. */
  #run = 0
  /** Resolves when an earlier instance of the piece has finished its writes. */
  readonly #ready: Promise<unknown> | undefined
  #writer: Promise<void> | undefined
  #hasher: Promise<void> | undefined
  #hash = new RunningHash('sha1')
  /** Bytes hashed so far, from the first byte on. */
  #hashed = 0
  /** Incremented when bytes read before become invalid. */
  #changes = 0
  #ended = false
  #lost = false

  /** Makes a piece whose blocks `present` are already stored. Reads and writes wait for `ready`. */
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

  /** Whether every block is present. */
  get complete(): boolean {
    return this.#missing === 0
  }

  /** Whether the piece was ended or storage has failed. */
  get ended(): boolean {
    return this.#ended
  }

  /** Number of blocks that take memory: kept or being written. */
  get unwritten(): number {
    return this.#kept.size + this.#run
  }

  /** Returns whether a block is present, in memory or in storage. */
  has(block: BlockIndex): boolean {
    return (this.#states[block] ?? absent) >= kept
  }

  /** Returns whether a source is writing a block. */
  isClaimed(block: BlockIndex): boolean {
    return this.#states[block] === claimed
  }

  /** Returns the present blocks. */
  present(): number[] {
    const list: number[] = []
    for (let block = 0; block < this.#states.length; block++) if (this.has(block)) list.push(block)
    return list
  }

  /** Returns memory for an absent block, for exclusive writing; undefined if the block is not absent or there is no memory. */
  claim(block: BlockIndex): Uint8Array | undefined {
    if (this.#states[block] !== absent) return undefined
    if (this.#claimed.size + this.unwritten >= this.reserved) return undefined
    const memory = Buffer.allocUnsafeSlow(Math.min(blockLength, this.size - block * blockLength))
    this.#claimed.set(block, memory)
    this.#states[block] = claimed
    return memory
  }

  /** Releases a claimed block that was not completed. */
  unclaim(block: BlockIndex): void {
    if (this.#states[block] !== claimed) return
    this.#claimed.delete(block)
    this.#states[block] = absent
  }

  /** Keeps a block in memory until it is stored: copies `data`, or without it uses the memory that `claim` returned. */
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

  /** Marks an absent block as stored. */
  recover(block: BlockIndex): void {
    if (this.#states[block] !== absent) return
    this.#states[block] = stored
    this.#missing--
    this.#follow()
  }

  /** Makes a present block absent again; returns false when it was not present. */
  discard(block: BlockIndex): boolean {
    if (!this.has(block)) return false
    this.#states[block] = absent
    this.#missing++
    this.#changes++
    // Memory of a block being written is reported free after the write.
    this.#writing.delete(block)
    if (this.#kept.delete(block)) this.#events.freed(1)
    if (block * blockLength < this.#hashed) this.#rehash()
    return true
  }

  /**
   * Copies contiguous present bytes from an offset in the piece on; undefined when the first byte is absent or the bytes became invalid
   * while they were read.
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

  /** Resolves when all present blocks are stored or storage has failed. */
  async written(): Promise<void> {
    while (this.#writer !== undefined) await this.#writer
  }

  /** Returns the SHA-1 of the complete piece; undefined when it cannot be read back or storage has failed. */
  async digest(): Promise<Uint8Array | undefined> {
    await this.written()
    while (!this.#ended && !this.#lost && this.#hashed < this.size) {
      this.#follow()
      await this.#hasher
    }
    if (this.#padding > 0 && !this.#ended && !this.#lost) await this.#pad()
    return this.#ended || this.#lost ? undefined : this.#hash.digest()
  }

  /** Returns the SHA-1 of each block of the complete piece; undefined for blocks that cannot be read back. */
  async digests(): Promise<BlockDigests> {
    const digests: (Uint8Array | undefined)[] = []
    const slice = Buffer.allocUnsafeSlow(sliceBytes)
    for (let from = 0; from < this.size; from += sliceBytes) {
      await yieldToEventLoop()
      const target = slice.subarray(0, this.size - from)
      const bytes = await this.#read(from, target)
      const digestOf = blockDigests(bytes?.length === target.length ? bytes : new Uint8Array(0))
      for (let at = 0; at < slice.length / blockLength; at++) digests.push(digestOf(at))
    }
    return (block) => digests[block]
  }

  /** Ends the piece: drops blocks that are not being written yet; idempotent. */
  end(): void {
    this.#ended = true
    this.#kept.clear()
    this.#claimed.clear()
  }

  /** Whether no read or write of the piece is running. */
  get idle(): boolean {
    return this.#writer === undefined && this.#hasher === undefined
  }

  /** Resolves when no read or write of an ended piece is running. */
  async settled(): Promise<void> {
    while (!this.idle) await Promise.all([this.#writer, this.#hasher])
  }

  async #write(): Promise<void> {
    // Awaited even when undefined, so that blocks of the same turn are written together.
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

  /** Writes and hashes the padding of the complete piece, which no peer sends. */
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

  /** Moves the oldest kept block and adjacent kept blocks to `#writing`; returns the first block of the run. */
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

  /** Hashes stored bytes from the start of the piece up to the first gap, in the background. */
  #follow(): void {
    if (this.#hasher !== undefined || this.#nextSlice() === 0) return
    this.#hasher = this.#hashOn().finally(() => {
      this.#hasher = undefined
    })
  }

  async #hashOn(): Promise<void> {
    const slice = Buffer.allocUnsafeSlow(sliceBytes)
    for (let length = this.#nextSlice(); length > 0 && !this.#lost; length = this.#nextSlice()) {
      await yieldToEventLoop()
      const bytes = await this.#read(this.#hashed, slice.subarray(0, length))
      if (bytes === undefined) continue
      if (bytes.length < length) this.#lost = true
      else this.#hash.update(bytes)
      this.#hashed += length
    }
  }

  /** Returns the number of bytes to hash next: a whole slice, the rest, or 0 when a block is not stored yet. */
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

  /** Reads bytes of stored blocks; fewer when storage has lost some, undefined when they became invalid meanwhile. */
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
