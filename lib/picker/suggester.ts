import type { PeerNumber, PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'

/** Maximum number of suggestions that a peer has not followed yet. */
const mostOpen = 2

/** Options of a {@link Suggester}. */
export interface SuggesterOptions {
  readonly pieceCount: number
  /** Whether a connected peer has a piece. */
  readonly has: (id: PeerNumber, piece: PieceIndex) => boolean
  /** Returns [0, 1). */
  readonly random: () => number
}

/**
 * Decides which pieces a seed suggests to which peer (BEP 6), so that all pieces soon exist elsewhere in the swarm. Each piece
 * that no peer has and that was sent to no peer is suggested to one peer. Peers that choose by rarity alone see the same rare
 * pieces and would fetch many of them from the seed several times. Once each piece is out, nothing more is suggested. Pure:
 * calls return the piece to suggest, or -1.
 */
export class Suggester {
  readonly #has: (id: PeerNumber, piece: PieceIndex) => boolean
  /** For each peer, the suggested pieces that it has not requested yet. */
  readonly #open = new LazyMap<number, Set<number>>()
  /** For each requested piece that no peer has yet, the peer that requested it first. */
  readonly #leaving = new LazyMap<number, number>()
  /** 1 for each piece that some peer has, has requested or was suggested. */
  readonly #spread: Uint8Array
  /** All pieces in random order. All before `#next` are spread. */
  readonly #order: Uint32Array
  #next = 0

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

  /** Records pieces that a peer has. */
  haves(id: PeerNumber, pieces: Iterable<number>): void {
    const open = this.#open.get(id)
    for (const piece of pieces) {
      open?.delete(piece)
      this.#leaving.delete(piece)
      this.#spread[piece] = 1
    }
  }

  /** Removes a peer. Pieces that were suggested to it, or that it requested and never announced, may be suggested to others. */
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

  /** Handles an unchoke of a peer. Returns the piece to suggest to it, or -1. */
  unchoked(id: PeerNumber): number {
    return this.#suggest(id)
  }

  /** Handles a peer's request for a block of a piece. Returns the piece to suggest to it, or -1. */
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
