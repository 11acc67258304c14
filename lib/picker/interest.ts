import { bitsOf, clearBit, hasBit, setBit } from '../util/bits.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { nothingRecent as none, type PeerState } from './peer-state.ts'

/** Up to this many wanted pieces are searched one by one instead of through the whole bitfield. */
const fewPieces = 64
/**
 * Number of recently gained pieces that are checked before a full search. A peer that loses and regains pieces without
 * end causes one full search per this many messages. A power of two.
 */
const recentPieces = 64

/**
 * Tracks which pieces are wanted, and which peers have at least one of them. Each interesting peer is filed under one
 * wanted piece that it has; only when that piece is no longer wanted is another one searched for. A verified piece
 * therefore costs a look at the few peers filed under it instead of all peers.
 */
export class Interest {
  /** Number of wanted pieces. */
  count = 0
  /** Number of pieces, or bytes of the bitfield, looked at by searches. */
  steps = 0
  /** Number of times that pieces became wanted. While it is unchanged, a search that found nothing would find nothing again. */
  #additions = 0
  readonly #tell: (peer: PeerState) => void
  /** Bit i (from the high end of each byte) is set if piece i is wanted. */
  readonly #wanted: Uint8Array
  /** The wanted pieces, while they are few. */
  #few: number[] | undefined = []
  readonly #filed = new LazyMap<number, Set<PeerState>>()
  readonly #seeds = new LazySet<PeerState>()
  /** Peers that are not seeds and have no wanted piece. */
  readonly #idle = new LazySet<PeerState>()

  /** Creates an empty set of wanted pieces. Calls `tell` with each peer whose `interested` has changed. */
  constructor(pieceCount: number, tell: (peer: PeerState) => void) {
    this.#wanted = bitsOf(pieceCount)
    this.#tell = tell
  }

  /** Adds a peer with its current bits. */
  add(peer: PeerState): void {
    peer.barrenAt = -1
    if (peer.seed) {
      this.#seeds.add(peer)
      this.#setInterested(peer, this.count > 0)
    } else this.#file(peer)
  }

  /** Removes a peer: when it disconnects, or before its bits change. */
  remove(peer: PeerState): void {
    this.#seeds.delete(peer)
    this.#idle.delete(peer)
    this.#unfile(peer)
  }

  /** Records one more piece of a peer that is not a seed. */
  gained(peer: PeerState, piece: number): void {
    if (!this.isWanted(piece)) return
    // A piece that is lost and gained repeatedly must not push others out of `recent`.
    if (peer.recent.includes(piece)) {
      if (this.#idle.delete(peer)) this.#fileUnder(peer, piece)
      return
    }
    const at = peer.gainedCount++ & (recentPieces - 1)
    if (at === 0) {
      peer.recent = peer.recent === none ? [] : peer.recent
      // From here on, pieces that no search has seen are overwritten.
      peer.barrenAt = -1
    }
    peer.recent[at] = piece
    if (!this.#idle.delete(peer)) return
    this.#fileUnder(peer, piece)
  }

  /** Records the loss of a piece of a peer that is not a seed. Its bits are already updated. */
  lost(peer: PeerState, piece: number): void {
    if (peer.standsFor !== piece) return
    this.#unfile(peer)
    for (let back = 1; back <= peer.recent.length; back++) {
      this.steps++
      const recent = peer.recent[(peer.gainedCount - back) & (recentPieces - 1)] ?? -1
      if (!this.isWanted(recent) || !peer.has(recent)) continue
      this.#fileUnder(peer, recent)
      return
    }
    if (peer.barrenAt === this.#additions) this.#setIdle(peer)
    else this.#file(peer, piece >> 3)
  }

  /** Adds and removes wanted pieces. */
  change(became: readonly number[], ceased: readonly number[]): void {
    const before = this.count
    const wanted = this.#wanted
    // A piece that is listed twice counts once.
    for (const piece of became) {
      if (!this.isWanted(piece)) this.count++
      setBit(wanted, piece)
    }
    for (const piece of ceased) {
      if (this.isWanted(piece)) this.count--
      clearBit(wanted, piece)
    }
    this.#countFew(became, ceased)
    for (const piece of ceased) {
      const peers = this.#filed.get(piece)
      if (peers === undefined) continue
      this.#filed.delete(piece)
      for (const peer of peers) this.#file(peer)
    }
    if (became.length > 0) {
      this.#additions++
      for (const peer of [...this.#idle]) this.#file(peer)
    }
    if (before > 0 !== this.count > 0)
      for (const peer of this.#seeds) this.#setInterested(peer, this.count > 0)
  }

  #countFew(became: readonly number[], ceased: readonly number[]): void {
    if (this.count > fewPieces) this.#few = undefined
    else if (this.#few === undefined) {
      const few: number[] = []
      for (let piece = 0; piece < this.#wanted.length * 8; piece++) if (this.isWanted(piece)) few.push(piece)
      this.#few = few
    } else this.#few = [...this.#few.filter((piece) => !ceased.includes(piece)), ...became]
  }

  isWanted(piece: number): boolean {
    return hasBit(this.#wanted, piece)
  }

  /** Finds a wanted piece to file a peer under. Peers begin at different offsets, so that they spread over the pieces. */
  #file(peer: PeerState, first: number = (peer.id * 7919) % this.#wanted.length): void {
    const few = this.#few
    if (few !== undefined) {
      for (let step = 0; step < few.length; step++) {
        this.steps++
        const piece = few[(peer.id + step) % few.length] ?? -1
        if (!peer.has(piece)) continue
        this.#idle.delete(peer)
        this.#fileUnder(peer, piece)
        return
      }
      this.#setIdle(peer)
      return
    }
    const wanted = this.#wanted
    const { bits } = peer
    const length = wanted.length
    for (let step = 0, at = first; step < length; step++, at = at + 1 < length ? at + 1 : 0) {
      this.steps++
      const common = (wanted[at] ?? 0) & (bits[at] ?? 0)
      if (common === 0) continue
      this.#idle.delete(peer)
      this.#fileUnder(peer, at * 8 + Math.clz32(common) - 24)
      return
    }
    peer.barrenAt = this.#additions
    this.#setIdle(peer)
  }

  #setIdle(peer: PeerState): void {
    peer.standsFor = -1
    this.#idle.add(peer)
    this.#setInterested(peer, false)
  }

  #fileUnder(peer: PeerState, piece: number): void {
    peer.standsFor = piece
    const peers = this.#filed.get(piece)
    if (peers === undefined) this.#filed.set(piece, new Set([peer]))
    else peers.add(peer)
    this.#setInterested(peer, true)
  }

  #unfile(peer: PeerState): void {
    const peers = this.#filed.get(peer.standsFor)
    if (peers?.delete(peer) === true && peers.size === 0) this.#filed.delete(peer.standsFor)
    peer.standsFor = -1
  }

  #setInterested(peer: PeerState, interested: boolean): void {
    if (interested === peer.interested) return
    peer.interested = interested
    this.#tell(peer)
  }
}
