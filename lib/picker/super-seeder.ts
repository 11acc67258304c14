import { bitsOf, hasBit, setBit } from '../util/bits.ts'
import type { PeerNumber, PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'

/** Pieces that a peer knows of and has not got yet: one on its way, and the next so that its pipeline never runs dry. */
const mostOpen = 2
/** Pieces that a peer has got from us and nobody else has got from it, after which it is shown no more. */
const mostKept = 2
/** A peer that others get nothing from is shown a further piece after this time: it may know nobody yet. */
const patienceMs = 20_000

/** What a {@link SuperSeeder} is made of. */
export interface SuperSeederOptions {
  readonly pieceCount: number
  /** Tells a peer that we have a piece. */
  readonly offer: (id: PeerNumber, piece: PieceIndex) => void
  /** Returns [0, 1). */
  readonly random: () => number
}

interface Peer {
  readonly id: PeerNumber
  readonly bits: Uint8Array
  /** Offered and not there yet. */
  readonly open: Set<number>
  /** There by us, and nowhere else as far as we know. */
  readonly kept: Set<number>
  /** When it was last offered a piece, or had one spread. */
  movedAt: number
}

/**
 * Which pieces a seed shows to whom while it pretends to have none (BEP 16): to each peer a piece that nobody else has or was
 * shown, and further ones as others get them from that peer. So each piece leaves the seed about once before any leaves
 * it twice, and those who pass on what they get are served first. Pure: events come in with `now`, offers go out.
 */
export class SuperSeeder {
  readonly #pieceCount: number
  readonly #offer: (id: PeerNumber, piece: PieceIndex) => void
  readonly #random: () => number
  readonly #peers = new LazyMap<number, Peer>()
  /** How many peers have each piece, and how many were offered it and have not got it. */
  readonly #copies: Uint32Array
  readonly #offers: Uint32Array

  constructor({ pieceCount, offer, random }: SuperSeederOptions) {
    this.#pieceCount = pieceCount
    this.#offer = offer
    this.#random = random
    this.#copies = new Uint32Array(pieceCount)
    this.#offers = new Uint32Array(pieceCount)
  }

  /** Whether the peer is shown pieces one by one; others were told of all at once. */
  includes(id: PeerNumber): boolean {
    return this.#peers.has(id)
  }

  /** A peer that was told that we have nothing; `bits` says what it has (BEP 3) and is copied. */
  addPeer(id: PeerNumber, bits: Uint8Array, now: number): void {
    if (this.#peers.has(id)) return
    const own = bitsOf(this.#pieceCount)
    const peer: Peer = { id, bits: own, open: new Set(), kept: new Set(), movedAt: now }
    this.#peers.set(id, peer)
    for (let piece = 0; piece < this.#pieceCount; piece++)
      if (hasBit(bits, piece)) this.#got(peer, piece, now)
    this.#offerTo(peer, now)
    // Others may pass on to it what they have.
    for (const other of this.#peers.values()) if (other.kept.size >= mostKept) this.#offerTo(other, now)
  }

  /** A peer is gone; what it was shown and did not get is shown to others. */
  removePeer(id: PeerNumber, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#peers.delete(id)
    for (let piece = 0; piece < this.#pieceCount; piece++)
      if (hasBit(peer.bits, piece)) this.#add(this.#copies, piece, -1)
    for (const piece of peer.open) this.#add(this.#offers, piece, -1)
    for (const other of this.#peers.values()) this.#offerTo(other, now)
  }

  /** A peer has got a piece. */
  have(id: PeerNumber, piece: PieceIndex, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined || piece >= this.#pieceCount || hasBit(peer.bits, piece)) return
    this.#got(peer, piece, now)
    this.#offerTo(peer, now)
  }

  /** A peer has told anew of all that it has. */
  bitfield(id: PeerNumber, bits: Uint8Array, now: number): void {
    for (let piece = 0; piece < this.#pieceCount; piece++) if (hasBit(bits, piece)) this.have(id, piece, now)
  }

  /** To be called now and then: peers that wait in vain are shown a further piece. */
  tick(now: number): void {
    for (const peer of this.#peers.values()) {
      if (peer.open.size > 0 || now - peer.movedAt < patienceMs) continue
      for (const piece of peer.kept) if (peer.kept.size >= mostKept) peer.kept.delete(piece)
      this.#offerTo(peer, now)
    }
  }

  /** All are shown everything from now on: each peer with the pieces that it was not shown yet. */
  end(): Map<number, number[]> {
    const rest = new Map<number, number[]>()
    for (const { id, bits, open } of this.#peers.values()) {
      const pieces: number[] = []
      // What it has it knows, and what was offered too.
      for (let piece = 0; piece < this.#pieceCount; piece++) {
        if (!hasBit(bits, piece) && !open.has(piece)) pieces.push(piece)
      }
      rest.set(id, pieces)
    }
    this.#peers.clear()
    this.#copies.fill(0)
    this.#offers.fill(0)
    return rest
  }

  #got(peer: Peer, piece: PieceIndex, now: number): void {
    setBit(peer.bits, piece)
    this.#add(this.#copies, piece, 1)
    if (peer.open.delete(piece)) {
      this.#add(this.#offers, piece, -1)
      // Nobody else is there who might still need it.
      if (this.#copies[piece] === 1 && this.#peers.size > 1) peer.kept.add(piece)
    }
    if ((this.#copies[piece] ?? 0) < 2) return
    for (const other of this.#peers.values()) {
      // Who has it was not the only one to pass it on, but that is not known.
      if (other === peer || !other.kept.delete(piece)) continue
      other.movedAt = now
      this.#offerTo(other, now)
    }
  }

  #offerTo(peer: Peer, now: number): void {
    while (peer.open.size < mostOpen && peer.open.size + peer.kept.size < mostOpen + mostKept - 1) {
      if (peer.kept.size >= mostKept && this.#peers.size > 1) return
      const piece = this.#choose(peer)
      if (piece < 0) return
      peer.open.add(piece)
      peer.movedAt = now
      this.#add(this.#offers, piece, 1)
      this.#offer(peer.id, piece)
    }
  }

  /** The piece with the fewest copies, there or promised, that the peer lacks; chance decides between equals. */
  #choose(peer: Peer): number {
    let best = -1
    let least = Number.POSITIVE_INFINITY
    const start = Math.floor(this.#random() * this.#pieceCount)
    for (let step = 0; step < this.#pieceCount; step++) {
      const piece = start + step < this.#pieceCount ? start + step : start + step - this.#pieceCount
      if (hasBit(peer.bits, piece) || peer.open.has(piece)) continue
      const copies = (this.#copies[piece] ?? 0) + (this.#offers[piece] ?? 0)
      if (copies >= least) continue
      best = piece
      least = copies
      if (copies === 0) break
    }
    return best
  }

  #add(counts: Uint32Array, piece: PieceIndex, step: 1 | -1): void {
    counts[piece] = Math.max(0, (counts[piece] ?? 0) + step)
  }
}
