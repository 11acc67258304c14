import type { BlockIndex, PieceIndex } from '../util/indices.ts'

/** An outstanding request: sent to a peer and neither answered nor rejected. */
export interface Outstanding {
  readonly piece: PieceIndex
  readonly block: BlockIndex
  readonly bytes: number
  /** When the request was sent, in milliseconds on the clock of `now`. */
  readonly sentAt: number
}

/** Upper bound of the blocks of a piece. 2^32 pieces of this many blocks still have numbers that a double holds exactly. */
const blockSpan = 2 ** 21
/** Numbers per request in the ring: block number, bytes, and send time. */
const stride = 3

/**
 * The outstanding requests of a peer, oldest first, in a ring of plain numbers. In a swarm of thousands of peers each block finds
 * the state of its peer outside the CPU cache, so the queue is contiguous, and a request allocates nothing.
 */
export class RequestQueue {
  /** Number of requests. */
  length = 0
  /** Total bytes of all requests. */
  bytes = 0
  #head = 0
  #capacity = 8
  #ring: number[] = new Array(8 * stride).fill(0)

  /** Appends a request. */
  push(piece: PieceIndex, block: BlockIndex, bytes: number, sentAt: number): void {
    if (this.length === this.#capacity) this.#grow()
    const at = this.#at(this.length++)
    this.#ring[at] = piece * blockSpan + block
    this.#ring[at + 1] = bytes
    this.#ring[at + 2] = sentAt
    this.bytes += bytes
  }

  /** Returns the piece of the request at `index`, from 0 (oldest) to `length` - 1. */
  pieceAt(index: number): number {
    return Math.floor((this.#ring[this.#at(index)] ?? 0) / blockSpan)
  }

  /** Returns the byte count of the request at `index`. */
  bytesAt(index: number): number {
    return this.#ring[this.#at(index) + 1] ?? 0
  }

  /** Returns when the request at `index` was sent, in milliseconds. */
  sentAt(index: number): number {
    return this.#ring[this.#at(index) + 2] ?? 0
  }

  /** Returns the request at `index`, or undefined if it is out of range. */
  at(index: number): Outstanding | undefined {
    if (index < 0 || index >= this.length) return undefined
    const blockNumber = this.#ring[this.#at(index)] ?? 0
    const piece = Math.floor(blockNumber / blockSpan)
    return {
      piece,
      block: blockNumber - piece * blockSpan,
      bytes: this.bytesAt(index),
      sentAt: this.sentAt(index)
    }
  }

  /** Returns the index of a block, or -1. */
  indexOf(piece: PieceIndex, block: BlockIndex): number {
    const blockNumber = piece * blockSpan + block
    for (let index = 0; index < this.length; index++)
      if (this.#ring[this.#at(index)] === blockNumber) return index
    return -1
  }

  /** Removes the request at `index`; later ones move up. */
  remove(index: number): void {
    if (index < 0 || index >= this.length) return
    const ring = this.#ring
    this.bytes -= this.bytesAt(index)
    // Mostly the oldest requests are removed first, so the requests before `index` are the fewer ones to move.
    for (; index > 0; index--) {
      const to = this.#at(index)
      const from = this.#at(index - 1)
      for (let part = 0; part < stride; part++) ring[to + part] = ring[from + part] ?? 0
    }
    this.#head = this.#head + 1 === this.#capacity ? 0 : this.#head + 1
    this.length--
  }

  /** Returns all requests, oldest first. */
  list(): Outstanding[] {
    const list: Outstanding[] = []
    for (let index = 0; index < this.length; index++) {
      const request = this.at(index)
      if (request !== undefined) list.push(request)
    }
    return list
  }

  #at(index: number): number {
    const at = this.#head + index
    return (at < this.#capacity ? at : at - this.#capacity) * stride
  }

  #grow(): void {
    const old = this.#ring
    const split = this.#head * stride
    this.#ring = [...old.slice(split), ...old.slice(0, split), ...new Array<number>(old.length).fill(0)]
    this.#head = 0
    this.#capacity *= 2
  }
}
