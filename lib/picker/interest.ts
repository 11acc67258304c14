import { bitsOf, clearBit, hasBit, setBit } from '../util/bits.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { nothingRecent as none, type PeerState } from './peer-state.ts'

/** While so few pieces are wanted they are looked at one by one, not by a search through all. */
const fewPieces = 64
/**
 * Pieces that a peer gained of late are looked at before a search through all, so many of them: a peer that loses and regains pieces
 * without end causes a search only after as many messages. A power of two.
 */
const recentPieces = 64

/**
 * Which pieces are wanted, and which peers have any of them. Each peer that is of interest stands for one piece that it has
 * and that is wanted; only when that piece is wanted no longer another is looked for. So a verified piece costs a look at
 * the few peers that stand for it and not at all peers.
 */
export class Interest {
  /** How many pieces are wanted. */
  count = 0
  /** How many pieces, or eights of them, were looked at to find one for a peer to stand for. */
  steps = 0
  /** How often pieces came to be wanted: unchanged, a search that found nothing would find nothing again. */
  #additions = 0
  readonly #tell: (peer: PeerState) => void
  /** Bit i (from the high end of each byte) says that piece i is wanted. */
  readonly #wanted: Uint8Array
  /** The pieces that are wanted, while they are few. */
  #few: number[] | undefined = []
  readonly #standing = new LazyMap<number, Set<PeerState>>()
  readonly #seeds = new LazySet<PeerState>()
  /** Peers that are no seeds and have nothing that is wanted. */
  readonly #idle = new LazySet<PeerState>()

  /** Nothing is wanted; `tell` hears of each peer whose `interested` has changed. */
  constructor(pieceCount: number, tell: (peer: PeerState) => void) {
    this.#wanted = bitsOf(pieceCount)
    this.#tell = tell
  }

  /** Takes a peer with the bits that it has now. */
  add(peer: PeerState): void {
    peer.barrenAt = -1
    if (peer.seed) {
      this.#seeds.add(peer)
      this.#set(peer, this.count > 0)
    } else this.#place(peer)
  }

  /** Lets a peer go, or takes it out before its bits change. */
  remove(peer: PeerState): void {
    this.#seeds.delete(peer)
    this.#idle.delete(peer)
    this.#leave(peer)
  }

  /** A peer that is no seed has one more piece. */
  gained(peer: PeerState, piece: number): void {
    if (!this.isWanted(piece)) return
    // A piece that is lost and gained again and again does not make others forgotten.
    if (peer.recent.includes(piece)) {
      if (this.#idle.delete(peer)) this.#stand(peer, piece)
      return
    }
    const at = peer.gainedCount++ & (recentPieces - 1)
    if (at === 0) {
      peer.recent = peer.recent === none ? [] : peer.recent
      // From here on pieces that no search has seen are forgotten.
      peer.barrenAt = -1
    }
    peer.recent[at] = piece
    if (!this.#idle.delete(peer)) return
    this.#stand(peer, piece)
  }

  /** A peer that is no seed has lost a piece, as its bits say already. */
  lost(peer: PeerState, piece: number): void {
    if (peer.standsFor !== piece) return
    this.#leave(peer)
    for (let back = 1; back <= peer.recent.length; back++) {
      this.steps++
      const recent = peer.recent[(peer.gainedCount - back) & (recentPieces - 1)] ?? -1
      if (!this.isWanted(recent) || !peer.has(recent)) continue
      this.#stand(peer, recent)
      return
    }
    if (peer.barrenAt === this.#additions) this.#setIdle(peer)
    else this.#place(peer, piece >> 3)
  }

  /** Pieces are wanted that were not, and others no longer. */
  change(became: readonly number[], ceased: readonly number[]): void {
    const before = this.count
    const wanted = this.#wanted
    // A piece that is named twice counts once.
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
      const peers = this.#standing.get(piece)
      if (peers === undefined) continue
      this.#standing.delete(piece)
      for (const peer of peers) this.#place(peer)
    }
    if (became.length > 0) {
      this.#additions++
      for (const peer of [...this.#idle]) this.#place(peer)
    }
    if (before > 0 !== this.count > 0) for (const peer of this.#seeds) this.#set(peer, this.count > 0)
  }

  #countFew(became: readonly number[], ceased: readonly number[]): void {
    if (this.count > fewPieces) this.#few = undefined
    else if (this.#few === undefined) {
      const few: number[] = []
      for (let piece = 0; piece < this.#wanted.length * 8; piece++) if (this.isWanted(piece)) few.push(piece)
      this.#few = few
    } else this.#few = [...this.#few.filter((piece) => !ceased.includes(piece)), ...became]
  }

  /** Whether a piece was said to be wanted. */
  isWanted(piece: number): boolean {
    return hasBit(this.#wanted, piece)
  }

  /** Finds a piece for a peer to stand for. Peers begin at different places, so that few stand for the same piece. */
  #place(peer: PeerState, first: number = (peer.id * 7919) % this.#wanted.length): void {
    const few = this.#few
    if (few !== undefined) {
      for (let step = 0; step < few.length; step++) {
        this.steps++
        const piece = few[(peer.id + step) % few.length] ?? -1
        if (!peer.has(piece)) continue
        this.#idle.delete(peer)
        this.#stand(peer, piece)
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
      const both = (wanted[at] ?? 0) & (bits[at] ?? 0)
      if (both === 0) continue
      this.#idle.delete(peer)
      this.#stand(peer, at * 8 + Math.clz32(both) - 24)
      return
    }
    peer.barrenAt = this.#additions
    this.#setIdle(peer)
  }

  #setIdle(peer: PeerState): void {
    peer.standsFor = -1
    this.#idle.add(peer)
    this.#set(peer, false)
  }

  #stand(peer: PeerState, piece: number): void {
    peer.standsFor = piece
    const peers = this.#standing.get(piece)
    if (peers === undefined) this.#standing.set(piece, new Set([peer]))
    else peers.add(peer)
    this.#set(peer, true)
  }

  #leave(peer: PeerState): void {
    const peers = this.#standing.get(peer.standsFor)
    if (peers?.delete(peer) === true && peers.size === 0) this.#standing.delete(peer.standsFor)
    peer.standsFor = -1
  }

  #set(peer: PeerState, interested: boolean): void {
    if (interested === peer.interested) return
    peer.interested = interested
    this.#tell(peer)
  }
}
