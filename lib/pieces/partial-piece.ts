import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'

/** A block of a partial piece is in exactly one of these states. */
export const blockState = { free: 0, requested: 1, received: 2 } as const

/** The allowance of a piece that memory is reserved for as a whole. */
const unlimited = 2 ** 30 - 1

/**
 * A piece of which something was asked for or has come; block by block who is to send it or has sent it. Small pieces are under way by the
 * thousand, so its lists are plain (typed ones take 200 bytes besides their contents), and it stands for another piece afterwards.
 */
export class PartialPiece {
  #piece = -1
  /** A {@link blockState} for each block. */
  states: number[] = []
  /** For each block the peer that was asked last, or that delivered it; -1 for none, -2 for data found in storage. */
  by: number[] = []
  /** Blocks that nobody is asked for. */
  free = 0
  /** Blocks that came. */
  received = 0
  /** Free blocks that memory is reserved for, counted for streamed pieces alone; negative where peers have sent blocks that they were asked for no more. */
  allowance: number = unlimited
  /** The only peer that may be asked, or -1: a suspect fetches alone. */
  soleOwner = -1
  /** Whether it stands in the list of pieces that may have free blocks. */
  listed = false
  #searchFrom = 0

  /** Stands for a piece of which nobody was asked for anything. */
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

  /** Says for how many free blocks memory is reserved; `Infinity` for all. */
  allow(blocks: number): void {
    this.allowance = Math.min(unlimited, blocks)
  }

  /** Whether its blocks go to storage as they come, and memory is reserved for some of them only. */
  get streamed(): boolean {
    return this.allowance < unlimited / 2
  }

  /** Blocks that peers are asked for. */
  get asked(): number {
    return this.blockCount - this.free - this.received
  }

  /** The piece. */
  get piece(): number {
    return this.#piece
  }

  /** How many blocks it has. */
  get blockCount(): number {
    return this.states.length
  }

  /** Whether nobody is asked for anything of it, though something is missing. */
  get idle(): boolean {
    return this.free > 0 && this.free + this.received === this.blockCount
  }

  /** Whether every block came. */
  get complete(): boolean {
    return this.received === this.blockCount
  }

  /** The first free block from `from` on, or -1. */
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

  /** The blocks that came. */
  receivedBlocks(): number[] {
    const list: number[] = []
    for (let block = 0; block < this.blockCount; block++) {
      if (this.states[block] === blockState.received) list.push(block)
    }
    return list
  }

  /** Marks a free or requested block as asked of `peer`. */
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

  /** Marks a block as delivered by `peer`. */
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

  /** Marks a block that came as free again: its bytes are not to be believed. */
  discard(block: BlockIndex): void {
    if (this.states[block] !== blockState.received) return
    this.states[block] = blockState.free
    this.by[block] = -1
    this.received--
    this.free++
    if (block < this.#searchFrom) this.#searchFrom = block
  }
}
