import type { BlockIndex, PieceIndex } from '../util/indices.ts'

/** A block that was asked of a peer and has neither come nor been refused. */
export interface Outstanding {
  readonly piece: PieceIndex
  readonly block: BlockIndex
  readonly bytes: number
  /** Milliseconds, the clock of `now`. */
  readonly sentAt: number
}

/** Pieces have fewer blocks than this, and 2^32 pieces of so many are still numbers that a double holds exactly. */
const blockSpan = 2 ** 21
/** Numbers of each request in the ring: piece and block in one, bytes, and when it was sent. */
const stride = 3

/**
 * What a peer is asked for, oldest first: a ring of plain numbers. In a swarm of thousands each block finds the memory of its peer
 * cold, so that a queue lies in one place, and asking makes nothing that a collector must look at.
 */
export class RequestQueue {
  /** How many requests there are. */
  length = 0
  /** Bytes of all of them. */
  bytes = 0
  #head = 0
  #capacity = 8
  #ring: number[] = new Array(8 * stride).fill(0)

  /** Adds a request, which is the last to be answered. */
  push(piece: PieceIndex, block: BlockIndex, bytes: number, sentAt: number): void {
    if (this.length === this.#capacity) this.#grow()
    const at = this.#at(this.length++)
    this.#ring[at] = piece * blockSpan + block
    this.#ring[at + 1] = bytes
    this.#ring[at + 2] = sentAt
    this.bytes += bytes
  }

  /** The piece of the request at `index`, from 0 (the oldest) to `length` - 1. */
  pieceAt(index: number): number {
    return Math.floor((this.#ring[this.#at(index)] ?? 0) / blockSpan)
  }

  /** Bytes asked for at `index`. */
  bytesAt(index: number): number {
    return this.#ring[this.#at(index) + 1] ?? 0
  }

  /** When the request at `index` was sent. */
  sentAt(index: number): number {
    return this.#ring[this.#at(index) + 2] ?? 0
  }

  /** All of a request, or undefined where there is none. */
  at(index: number): Outstanding | undefined {
    if (index < 0 || index >= this.length) return undefined
    const place = this.#ring[this.#at(index)] ?? 0
    const piece = Math.floor(place / blockSpan)
    return { piece, block: place - piece * blockSpan, bytes: this.bytesAt(index), sentAt: this.sentAt(index) }
  }

  /** Where a block stands, or -1. */
  indexOf(piece: PieceIndex, block: BlockIndex): number {
    const place = piece * blockSpan + block
    for (let index = 0; index < this.length; index++) if (this.#ring[this.#at(index)] === place) return index
    return -1
  }

  /** Takes the request at `index` out; those behind it move up. */
  remove(index: number): void {
    if (index < 0 || index >= this.length) return
    const ring = this.#ring
    this.bytes -= this.bytesAt(index)
    // The oldest go first nearly always, so that it is those before it that move.
    for (; index > 0; index--) {
      const to = this.#at(index)
      const from = this.#at(index - 1)
      for (let part = 0; part < stride; part++) ring[to + part] = ring[from + part] ?? 0
    }
    this.#head = this.#head + 1 === this.#capacity ? 0 : this.#head + 1
    this.length--
  }

  /** All requests, oldest first. */
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
