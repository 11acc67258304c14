import { setImmediate as nextTurn } from 'node:timers/promises'
import { hashOf, RunningHash } from '../hash/running-hash.ts'
import { blockLength } from '../metainfo/layout.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'

/** Hashing yields to the event loop after this many bytes. */
const bytesPerTurn = 4 << 20
/** So many blocks are hashed at a time, which costs less than each by itself, while all are in the cache still. */
const blocksAtOnce = 8
/** For each block that comes so many may be hashed: what waits behind a gap is not all hashed in the turn in which the gap is filled. */
const hashedForOne = 2

/** Whether a block's bytes are absent, being written by one sender, or there. */
const absent = 0
const claimed = 1
const present = 2

/**
 * The memory of one piece while its blocks come in, and then of another. The running SHA-1 covers the prefix without gaps, so that it is
 * ready when the last block lands. A block has one writer at a time, and present bytes never change: what was hashed is what is kept.
 */
export class PieceBuffer {
  /** Whether the piece is whole and right, and nobody has begun to write it. */
  waits = false
  readonly #memory: Uint8Array
  #piece = -1
  #bytes: Uint8Array
  /** Bytes that blocks come for; zeros of padding follow (BEP 47). */
  #requested = 0
  /** What each block is; a plain list, because of small pieces there are very many. */
  #blocks: number[] = []
  #missing = 0
  /** Made with the first bytes that are hashed before all are there. */
  #hash: RunningHash | undefined
  #digest: Uint8Array | undefined
  #hashedBlocks = 0
  /** Blocks that may be hashed as soon as they are there without a gap. */
  #allowance = 0
  /** Whether the digest was taken. */
  #hashed = false

  /** A buffer for pieces of at most so many bytes as `memory` has. */
  constructor(memory: Uint8Array) {
    this.#memory = memory
    this.#bytes = memory
  }

  /** Holds a piece of `size` bytes from now on, of which nothing is there but padding from byte `requested` on. */
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

  /** The piece. */
  get piece(): number {
    return this.#piece
  }

  /** Its bytes. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** The bytes that blocks come for, without the padding at the end. */
  get requested(): Uint8Array {
    return this.#requested === this.size ? this.#bytes : this.#bytes.subarray(0, this.#requested)
  }

  /** How many bytes the piece has. */
  get size(): number {
    return this.#bytes.length
  }

  /** Whether every block is there. */
  get complete(): boolean {
    return this.#missing === 0
  }

  /** The memory of a block, whether it is there or not. */
  view(block: BlockIndex): Uint8Array {
    if (this.#blocks.length === 1) return this.requested
    return this.#bytes.subarray(block * blockLength, Math.min(this.#requested, (block + 1) * blockLength))
  }

  /** The memory of an absent block to write into, which is then the caller's alone; undefined if it is not to be had. */
  claim(block: BlockIndex): Uint8Array | undefined {
    if (this.#blocks[block] !== absent) return undefined
    this.#blocks[block] = claimed
    return this.view(block)
  }

  /** Gives up a claim without having written the block whole. */
  unclaim(block: BlockIndex): void {
    if (this.#blocks[block] === claimed) this.#blocks[block] = absent
  }

  /** Whether a sender writes a block now. */
  isClaimed(block: BlockIndex): boolean {
    return this.#blocks[block] === claimed
  }

  /** Whether a block is there. */
  has(block: BlockIndex): boolean {
    return this.#blocks[block] === present
  }

  /** The blocks that are there, without those that are padding. */
  present(): number[] {
    const list: number[] = []
    const count = Math.ceil(this.#requested / blockLength)
    for (let block = 0; block < count; block++) if (this.#blocks[block] === present) list.push(block)
    return list
  }

  /** Copies what is there from an offset on, without a gap; undefined when the first byte is not there. */
  peek(from: number, length: number): Uint8Array | undefined {
    let end = from
    while (end < from + length && this.has(Math.floor(end / blockLength))) {
      end = Math.min(this.size, (Math.floor(end / blockLength) + 1) * blockLength)
    }
    return end === from ? undefined : new Uint8Array(this.#bytes.subarray(from, Math.min(end, from + length)))
  }

  /** Makes a block present: copies `data`, or takes what the holder of the claim has written. */
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

  /** Makes a present block of an incomplete or wrong piece absent again; false when it was not present. */
  discard(block: BlockIndex): boolean {
    if (this.#blocks[block] !== present) return false
    this.#blocks[block] = absent
    this.#missing++
    if (block < this.#hashedBlocks || this.#hashed) this.#forgetHash()
    return true
  }

  /** The SHA-1 of the complete piece, which is given once; yields to the event loop while much is left to hash. */
  async digest(): Promise<Uint8Array> {
    while (this.#hashedBlocks < this.#blocks.length) {
      this.#hashPrefix(bytesPerTurn)
      if (this.#hashedBlocks < this.#blocks.length) await nextTurn()
    }
    return this.#finish()
  }

  /** The SHA-1 of the complete piece, given once, if it is ready without further work, else undefined. */
  readyDigest(): Uint8Array | undefined {
    if (this.#hashedBlocks < this.#blocks.length) return undefined
    return this.#finish()
  }

  /** Fills in the padding, which never comes. */
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

  /** Hashes what follows the hashed prefix without a gap, at most `most` bytes. */
  #hashPrefix(most: number): void {
    const from = this.#hashedBlocks
    const end = Math.min(this.#blocks.length, from + Math.floor(most / blockLength))
    let to = from
    while (to < end && this.#blocks[to] === present) to++
    if (to === from || (this.#missing > 0 && to < from + blocksAtOnce)) return
    // A small piece is hashed at one go, which costs half of what a hash that can go on costs.
    if (to - from === this.#blocks.length) this.#digest = hashOf('sha1', this.#bytes)
    else {
      this.#hash ??= new RunningHash('sha1')
      this.#hash.update(this.#bytes.subarray(from * blockLength, to * blockLength))
    }
    this.#hashedBlocks = to
  }
}
