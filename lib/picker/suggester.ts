import type { PeerNumber, PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'

/** Suggestions that a peer has not followed yet. */
const mostOpen = 2

/** What a {@link Suggester} is made of. */
export interface SuggesterOptions {
  readonly pieceCount: number
  /** Whether a connected peer has a piece. */
  readonly has: (id: PeerNumber, piece: PieceIndex) => boolean
  /** Returns [0, 1). */
  readonly random: () => number
}

/**
 * Which pieces a seed suggests to whom (BEP 6), so that all of them are soon in the swarm: those that no peer has and nobody
 * was sent, each to one peer. Peers that choose by rarity alone all see the same rare pieces and would fetch many of them
 * from the seed several times. Once each is out it falls silent. Pure: calls return the piece to suggest, or -1.
 */
export class Suggester {
  readonly #has: (id: PeerNumber, piece: PieceIndex) => boolean
  /** For each peer the pieces that it was told of and has not asked for yet. */
  readonly #open = new LazyMap<number, Set<number>>()
  /** For each piece on its way that nobody has yet the peer that asked for it first. */
  readonly #leaving = new LazyMap<number, number>()
  /** 1 for each piece that some peer has, was sent or was told of. */
  readonly #spread: Uint8Array
  /** All pieces in random order; those before `#next` are spread. */
  readonly #order: Uint32Array
  #next = 0

  /** Nothing is spread yet. */
  constructor({ pieceCount, has, random }: SuggesterOptions) {
    this.#has = has
    this.#spread = new Uint8Array(pieceCount)
    this.#order = Uint32Array.from({ length: pieceCount }, (_, piece) => piece)
    for (let at = pieceCount - 1; at > 0; at--) {
      const other = Math.floor(random() * (at + 1))
      const piece = this.#order[at] ?? 0
      this.#order[at] = this.#order[other] ?? 0
      this.#order[other] = piece
    }
  }

  /** A peer has these pieces. */
  haves(id: PeerNumber, pieces: Iterable<number>): void {
    const open = this.#open.get(id)
    for (const piece of pieces) {
      open?.delete(piece)
      this.#leaving.delete(piece)
      this.#spread[piece] = 1
    }
  }

  /** A peer is gone; what it was told of, and what it asked for but never said to have, is suggested to others. */
  removePeer(id: PeerNumber): void {
    const lost = this.#open.get(id) ?? new Set()
    this.#open.delete(id)
    for (const [piece, to] of this.#leaving) if (to === id) lost.add(piece)
    for (const piece of lost) {
      this.#leaving.delete(piece)
      this.#spread[piece] = 0
    }
    if (lost.size > 0) this.#next = 0
  }

  /** A peer is served from now on. */
  unchoked(id: PeerNumber): number {
    return this.#suggest(id)
  }

  /** A peer asks for a block of a piece. */
  requested(id: PeerNumber, piece: PieceIndex): number {
    const wasOpen = this.#open.get(id)?.delete(piece) === true
    if (wasOpen || this.#spread[piece] !== 1) this.#leaving.set(piece, id)
    this.#spread[piece] = 1
    return this.#suggest(id)
  }

  #suggest(id: PeerNumber): number {
    const order = this.#order
    const spread = this.#spread
    while (this.#next < order.length && spread[order[this.#next] ?? 0] === 1) this.#next++
    if (this.#next === order.length) return -1
    let open = this.#open.get(id)
    if (open === undefined) {
      open = new Set()
      this.#open.set(id, open)
    }
    if (open.size >= mostOpen) return -1
    for (let at = this.#next; at < order.length; at++) {
      const piece = order[at] ?? 0
      if (spread[piece] === 1 || this.#has(id, piece)) continue
      spread[piece] = 1
      open.add(piece)
      return piece
    }
    return -1
  }
}
