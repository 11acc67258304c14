import { bitsOf, hasBit, setBit } from '../util/bits.ts'
import type { PeerNumber, PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'

/** Maximum number of offered pieces that a peer lacks: one in transit, and the next so that its request queue never runs dry. */
const mostOpen = 2
/** A peer gets no further offers while it has this many pieces from us that no other peer has. */
const maxUnspread = 2
/** After this time, a peer whose pieces do not spread gets a further offer: it may have no other connections yet. */
const patienceMs = 20_000

/** Options of a {@link SuperSeeder}. */
export interface SuperSeederOptions {
  readonly pieceCount: number
  /** Sends a have message for a piece to a peer. */
  readonly offer: (id: PeerNumber, piece: PieceIndex) => void
  /** Returns [0, 1). */
  readonly random: () => number
}

interface Peer {
  readonly id: PeerNumber
  readonly bits: Uint8Array
  /** Pieces that were offered and that the peer lacks. */
  readonly open: Set<number>
  /** Pieces that the peer got from us and that, as far as we know, no other peer has. */
  readonly unspread: Set<number>
  /** When a piece was last offered to it, or one of its pieces was seen at another peer. */
  movedAt: number
}

/**
 * Decides which pieces a seed offers to which peer while it pretends to have none (super-seeding, BEP 16). Each peer is offered a
 * piece that no other peer has or was offered, and further pieces as others get them from that peer. Each piece
 * therefore leaves the seed about once before any leaves it twice, and peers that pass pieces on are served first. Pure:
 * events come in with `now`, offers go out.
 */
export class SuperSeeder {
  readonly #pieceCount: number
  readonly #offer: (id: PeerNumber, piece: PieceIndex) => void
  readonly #random: () => number
  readonly #peers = new LazyMap<number, Peer>()
  /** Number of peers that have each piece, and number of peers that were offered it and lack it. */
  readonly #copies: Uint32Array
  readonly #offers: Uint32Array

  constructor({ pieceCount, offer, random }: SuperSeederOptions) {
    this.#pieceCount = pieceCount
    this.#offer = offer
    this.#random = random
    this.#copies = new Uint32Array(pieceCount)
    this.#offers = new Uint32Array(pieceCount)
  }

  /** Whether pieces are offered to the peer one by one. Other peers were told of all pieces at once. */
  includes(id: PeerNumber): boolean {
    return this.#peers.has(id)
  }

  /** Adds a peer that was told that we have nothing. `bits` are its pieces (BEP 3), and are copied. */
  addPeer(id: PeerNumber, bits: Uint8Array, now: number): void {
    if (this.#peers.has(id)) return
    const own = bitsOf(this.#pieceCount)
    const peer: Peer = { id, bits: own, open: new Set(), unspread: new Set(), movedAt: now }
    this.#peers.set(id, peer)
    for (let piece = 0; piece < this.#pieceCount; piece++)
      if (hasBit(bits, piece)) this.#got(peer, piece, now)
    this.#offerTo(peer, now)
    // Peers at their limit may now pass on their pieces to the new one.
    for (const other of this.#peers.values())
      if (other.unspread.size >= maxUnspread) this.#offerTo(other, now)
  }

  /** Removes a peer. The pieces that it was offered and lacks are offered to others. */
  removePeer(id: PeerNumber, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#peers.delete(id)
    for (let piece = 0; piece < this.#pieceCount; piece++)
      if (hasBit(peer.bits, piece)) this.#add(this.#copies, piece, -1)
    for (const piece of peer.open) this.#add(this.#offers, piece, -1)
    for (const other of this.#peers.values()) this.#offerTo(other, now)
  }

  /** Records a piece that a peer has got. */
  have(id: PeerNumber, piece: PieceIndex, now: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined || piece >= this.#pieceCount || hasBit(peer.bits, piece)) return
    this.#got(peer, piece, now)
    this.#offerTo(peer, now)
  }

  /** Records the pieces of a peer's repeated bitfield. */
  bitfield(id: PeerNumber, bits: Uint8Array, now: number): void {
    for (let piece = 0; piece < this.#pieceCount; piece++) if (hasBit(bits, piece)) this.have(id, piece, now)
  }

  /** Offers a further piece to peers that have waited 20 s in vain. To be called periodically. */
  tick(now: number): void {
    for (const peer of this.#peers.values()) {
      if (peer.open.size > 0 || now - peer.movedAt < patienceMs) continue
      for (const piece of peer.unspread) if (peer.unspread.size >= maxUnspread) peer.unspread.delete(piece)
      this.#offerTo(peer, now)
    }
  }

  /** Ends super-seeding. Returns, for each peer, the pieces that it lacks and was not offered. */
  end(): Map<number, number[]> {
    const rest = new Map<number, number[]>()
    for (const { id, bits, open } of this.#peers.values()) {
      const pieces: number[] = []
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
      // Without another peer, no peer could get it from this one.
      if (this.#copies[piece] === 1 && this.#peers.size > 1) peer.unspread.add(piece)
    }
    if ((this.#copies[piece] ?? 0) < 2) return
    for (const other of this.#peers.values()) {
      // Any peer with the piece may have passed it on; which one is not known.
      if (other === peer || !other.unspread.delete(piece)) continue
      other.movedAt = now
      this.#offerTo(other, now)
    }
  }

  #offerTo(peer: Peer, now: number): void {
    while (peer.open.size < mostOpen && peer.open.size + peer.unspread.size < mostOpen + maxUnspread - 1) {
      if (peer.unspread.size >= maxUnspread && this.#peers.size > 1) return
      const piece = this.#choose(peer)
      if (piece < 0) return
      peer.open.add(piece)
      peer.movedAt = now
      this.#add(this.#offers, piece, 1)
      this.#offer(peer.id, piece)
    }
  }

  /** Returns the piece that the peer lacks with the fewest copies and offers, or -1; random among equals. */
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
