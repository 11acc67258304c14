import { setImmediate as nextTurn } from 'node:timers/promises'
import { hashOf, RunningHash } from '../hash/running-hash.ts'
import { blockLength } from '../metainfo/layout.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'

/** Bytes hashed before yielding to the event loop. */
const bytesPerTurn = 4 << 20
/** Blocks hashed together while still in the CPU cache, which costs less than hashing each separately. */
const blocksAtOnce = 8
/** Blocks that may be hashed per block that arrives, so that filling a gap does not hash everything behind it in one turn. */
const hashedForOne = 2

/** States of a block: absent, being written by one source, or present. */
const absent = 0
const claimed = 1
const present = 2

/**
 * Memory of one piece while its blocks arrive, reused for other pieces later. A running SHA-1 covers the contiguous prefix, so that the
 * digest is ready soon after the last block. A block has one writer at a time. Nothing writes to a block while it is present, so the digest
 * is that of the bytes in memory.
 */
export class PieceBuffer {
  /** Whether the piece is complete and verified, and its write has not begun. */
  waits = false
  readonly #memory: Uint8Array
  #piece = -1
  #bytes: Uint8Array
  /** Bytes that are requested from peers; zeros of padding follow (BEP 47). */
  #requested = 0
  /** State by block. A plain array, because a typed array would cost more for the few blocks of a small piece. */
  #blocks: number[] = []
  #missing = 0
  /** Made when the first bytes are hashed before the piece is complete. */
  #hash: RunningHash | undefined
  #digest: Uint8Array | undefined
  #hashedBlocks = 0
  /** Blocks that may be hashed now. */
  #allowance = 0
  /** Whether the digest was returned. */
  #hashed = false

  /** Makes a buffer for pieces of at most the size of `memory`. */
  constructor(memory: Uint8Array) {
    this.#memory = memory
    this.#bytes = memory
  }

  /** Starts a piece of `size` bytes, with no blocks present except padding from byte `requested` on. */
  begin(piece: PieceIndex, size: number, requested: number = size): void {
    const blockCount = Math.ceil(size / blockLength)
    this.waits = false
    this.#piece = piece
    if (this.#bytes.length !== size) this.#bytes = this.#memory.subarray(0, size)
    if (this.#blocks.length === blockCount) this.#blocks.fill(absent)
    else this.#blocks = new Array(blockCount).fill(absent)
    this.#missing = blockCount
    this.#requested = requested
    if (requested < size) this.#pad()
    this.#allowance = 0
    this.#forgetHash()
  }

  /** Index of the piece, -1 before `begin`. */
  get piece(): number {
    return this.#piece
  }

  /** Memory of the whole piece. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** Bytes that are requested from peers, without the padding at the end. */
  get requested(): Uint8Array {
    return this.#requested === this.size ? this.#bytes : this.#bytes.subarray(0, this.#requested)
  }

  /** Size of the piece in bytes. */
  get size(): number {
    return this.#bytes.length
  }

  /** Whether every block is present. */
  get complete(): boolean {
    return this.#missing === 0
  }

  /** Returns the memory of a block, whether present or not. */
  view(block: BlockIndex): Uint8Array {
    if (this.#blocks.length === 1) return this.requested
    return this.#bytes.subarray(block * blockLength, Math.min(this.#requested, (block + 1) * blockLength))
  }

  /** Returns the memory of an absent block for exclusive writing; undefined if the block is present or claimed. */
  claim(block: BlockIndex): Uint8Array | undefined {
    if (this.#blocks[block] !== absent) return undefined
    this.#blocks[block] = claimed
    return this.view(block)
  }

  /** Releases a claimed block that was not completed. */
  unclaim(block: BlockIndex): void {
    if (this.#blocks[block] === claimed) this.#blocks[block] = absent
  }

  /** Returns whether a source is writing a block. */
  isClaimed(block: BlockIndex): boolean {
    return this.#blocks[block] === claimed
  }

  /** Returns whether a block is present. */
  has(block: BlockIndex): boolean {
    return this.#blocks[block] === present
  }

  /** Returns the present blocks, without padding. */
  present(): number[] {
    const list: number[] = []
    const count = Math.ceil(this.#requested / blockLength)
    for (let block = 0; block < count; block++) if (this.#blocks[block] === present) list.push(block)
    return list
  }

  /** Copies contiguous present bytes from an offset on; undefined when the first byte is absent. */
  peek(from: number, length: number): Uint8Array | undefined {
    let end = from
    while (end < from + length && this.has(Math.floor(end / blockLength))) {
      end = Math.min(this.size, (Math.floor(end / blockLength) + 1) * blockLength)
    }
    return end === from ? undefined : new Uint8Array(this.#bytes.subarray(from, Math.min(end, from + length)))
  }

  /** Makes a block present: copies `data`, or takes the bytes that its writer wrote. */
  fill(block: BlockIndex, data?: Uint8Array): void {
    const state = this.#blocks[block]
    if (state === undefined || state === present) return
    if (data !== undefined) this.view(block).set(data)
    this.#blocks[block] = present
    this.#missing--
    this.#allowance = Math.min(bytesPerTurn / blockLength, this.#allowance + hashedForOne)
    if (this.#missing === 0) this.#hashPrefix(bytesPerTurn)
    else if (block + 1 >= this.#hashedBlocks + blocksAtOnce) {
      const before = this.#hashedBlocks
      this.#hashPrefix(this.#allowance * blockLength)
      this.#allowance -= this.#hashedBlocks - before
    }
  }

  /** Makes a present block of an incomplete or failed piece absent again; returns false when it was not present. */
  discard(block: BlockIndex): boolean {
    if (this.#blocks[block] !== present) return false
    this.#blocks[block] = absent
    this.#missing++
    if (block < this.#hashedBlocks || this.#hashed) this.#forgetHash()
    return true
  }

  /** Returns the SHA-1 of the complete piece, once; yields to the event loop while there is much left to hash. */
  async digest(): Promise<Uint8Array> {
    while (this.#hashedBlocks < this.#blocks.length) {
      this.#hashPrefix(bytesPerTurn)
      if (this.#hashedBlocks < this.#blocks.length) await nextTurn()
    }
    return this.#finish()
  }

  /** Returns the SHA-1 of the complete piece, once, if it is ready without further work; otherwise undefined. */
  readyDigest(): Uint8Array | undefined {
    if (this.#hashedBlocks < this.#blocks.length) return undefined
    return this.#finish()
  }

  /** Fills in the padding, which no peer sends. */
  #pad(): void {
    const first = Math.ceil(this.#requested / blockLength)
    this.#bytes.fill(0, this.#requested)
    this.#blocks.fill(present, first)
    this.#missing = first
  }

  #forgetHash(): void {
    this.#hash = undefined
    this.#digest = undefined
    this.#hashedBlocks = 0
    this.#hashed = false
  }

  #finish(): Uint8Array {
    this.#hashed = true
    const digest = this.#digest ?? this.#hash?.digest() ?? hashOf('sha1', new Uint8Array(0))
    this.#digest = undefined
    this.#hash = undefined
    return digest
  }

  /** Hashes at most `most` bytes after the hashed prefix, up to the first gap. */
  #hashPrefix(most: number): void {
    const from = this.#hashedBlocks
    const end = Math.min(this.#blocks.length, from + Math.floor(most / blockLength))
    let to = from
    while (to < end && this.#blocks[to] === present) to++
    if (to === from || (this.#missing > 0 && to < from + blocksAtOnce)) return
    // A small piece is hashed in one call, which costs half as much as a running hash.
    if (to - from === this.#blocks.length) this.#digest = hashOf('sha1', this.#bytes)
    else {
      this.#hash ??= new RunningHash('sha1')
      this.#hash.update(this.#bytes.subarray(from * blockLength, to * blockLength))
    }
    this.#hashedBlocks = to
  }
}
