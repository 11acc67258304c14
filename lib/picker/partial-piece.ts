/** A block of a partial piece is in exactly one of these states. */
export const blockState = { free: 0, requested: 1, received: 2 } as const

/** A piece of which something was asked for or has come; block by block who is to send it or has sent it. */
export class PartialPiece {
  readonly piece: number
  readonly blockCount: number
  /** A {@link blockState} for each block. */
  readonly states: Uint8Array
  /** For each block the peer that was asked last, or that delivered it; -1 for none, -2 for data found in storage. */
  readonly by: Int32Array
  /** Blocks that nobody is asked for. */
  free: number
  /** Blocks that came. */
  received = 0
  /** The only peer that may be asked, or -1: a suspect fetches alone. */
  soleOwner = -1
  #searchFrom = 0

  constructor(piece: number, blockCount: number) {
    this.piece = piece
    this.blockCount = blockCount
    this.states = new Uint8Array(blockCount)
    this.by = new Int32Array(blockCount).fill(-1)
    this.free = blockCount
  }

  /** Whether it stands in the list of pieces that may have free blocks. */
  listed = false

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
  request(block: number, peer: number): void {
    if (this.states[block] === blockState.free) {
      this.states[block] = blockState.requested
      this.free--
    }
    this.by[block] = peer
  }

  /** Marks a requested block as free again. */
  release(block: number): void {
    if (this.states[block] !== blockState.requested) return
    this.states[block] = blockState.free
    this.by[block] = -1
    this.free++
    if (block < this.#searchFrom) this.#searchFrom = block
  }

  /** Marks a block as delivered by `peer`. */
  receive(block: number, peer: number): void {
    if (block < 0 || block >= this.blockCount || this.states[block] === blockState.received) return
    if (this.states[block] === blockState.free) this.free--
    this.states[block] = blockState.received
    this.by[block] = peer
    this.received++
  }

  /** Marks a block that came as free again: its bytes are not to be believed. */
  discard(block: number): void {
    if (this.states[block] !== blockState.received) return
    this.states[block] = blockState.free
    this.by[block] = -1
    this.received--
    this.free++
    if (block < this.#searchFrom) this.#searchFrom = block
  }
}
