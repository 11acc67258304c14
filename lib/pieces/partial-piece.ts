import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'

/** States of a block of a partial piece; it is in exactly one of them. */
export const blockState = { free: 0, requested: 1, received: 2 } as const

/** The allowance of a piece that memory is reserved for as a whole. */
const unlimited = 2 ** 30 - 1

/**
 * The blocks of a partial piece: their states, and the peers that were asked for them or sent them. A download has thousands of small partial
 * pieces, so objects are reused, and lists are plain arrays: a typed array takes 200 bytes more.
 */
export class PartialPiece {
  #piece = -1
  /** A {@link blockState} for each block. */
  states: number[] = []
  /** For each block, the peer that was asked last or has sent it; -1 for none, -2 if it came from storage or from a bad copy. */
  by: number[] = []
  /** Number of blocks that are neither requested nor received. */
  free = 0
  /** Number of blocks received. */
  received = 0
  /** Free blocks with reserved memory, counted only for streamed pieces; negative after peers sent blocks whose requests were cancelled. */
  allowance: number = unlimited
  /** The only peer that may be asked, or -1. Suspects download pieces alone. */
  soleOwner = -1
  /** Whether it is in the list of pieces that may have free blocks. */
  listed = false
  #searchFrom = 0

  /** Resets the object for another piece, with all blocks free. */
  begin(piece: PieceIndex, blockCount: number): void {
    this.#piece = piece
    if (this.states.length === blockCount) {
      this.states.fill(blockState.free)
      this.by.fill(-1)
    } else {
      this.states = new Array(blockCount).fill(blockState.free)
      this.by = new Array(blockCount).fill(-1)
    }
    this.free = blockCount
    this.received = 0
    this.allowance = unlimited
    this.soleOwner = -1
    this.listed = false
    this.#searchFrom = 0
  }

  /** Sets the number of free blocks with reserved memory; `Infinity` for all. */
  allow(blocks: number): void {
    this.allowance = Math.min(unlimited, blocks)
  }

  /** Whether its blocks go to storage as they arrive, and memory is reserved for some of them only. */
  get streamed(): boolean {
    return this.allowance < unlimited / 2
  }

  /** Number of requested blocks. */
  get asked(): number {
    return this.blockCount - this.free - this.received
  }

  /** Index of the piece. */
  get piece(): number {
    return this.#piece
  }

  get blockCount(): number {
    return this.states.length
  }

  /** Whether blocks are missing and none is requested. */
  get idle(): boolean {
    return this.free > 0 && this.free + this.received === this.blockCount
  }

  /** Whether every block is received. */
  get complete(): boolean {
    return this.received === this.blockCount
  }

  /** Returns the first free block from `from` on, or -1. */
  nextFree(from = 0): number {
    if (this.free === 0) return -1
    for (let block = Math.max(from, this.#searchFrom); block < this.blockCount; block++) {
      if (this.states[block] === blockState.free) {
        if (from <= this.#searchFrom) this.#searchFrom = block
        return block
      }
    }
    return -1
  }

  receivedBlocks(): number[] {
    const list: number[] = []
    for (let block = 0; block < this.blockCount; block++) {
      if (this.states[block] === blockState.received) list.push(block)
    }
    return list
  }

  /** Marks a free or requested block as requested from `peer`. */
  request(block: BlockIndex, peer: PeerNumber): void {
    if (this.states[block] === blockState.free) {
      this.states[block] = blockState.requested
      this.free--
      if (this.streamed) this.allowance--
    }
    this.by[block] = peer
  }

  /** Marks a requested block as free again. */
  release(block: BlockIndex): void {
    if (this.states[block] !== blockState.requested) return
    this.states[block] = blockState.free
    this.by[block] = -1
    this.free++
    if (this.streamed) this.allowance++
    if (block < this.#searchFrom) this.#searchFrom = block
  }

  /** Marks a block as received from `peer`. */
  receive(block: BlockIndex, peer: PeerNumber): void {
    if (block < 0 || block >= this.blockCount || this.states[block] === blockState.received) return
    if (this.states[block] === blockState.free) {
      this.free--
      if (this.streamed) this.allowance--
    }
    this.states[block] = blockState.received
    this.by[block] = peer
    this.received++
  }

  /** Marks a received block as free again, because its bytes are in doubt. */
  discard(block: BlockIndex): void {
    if (this.states[block] !== blockState.received) return
    this.states[block] = blockState.free
    this.by[block] = -1
    this.received--
    this.free++
    if (block < this.#searchFrom) this.#searchFrom = block
  }
}
