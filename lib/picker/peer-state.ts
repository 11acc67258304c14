import type { BlockSource } from '../pieces/block-source.ts'
import { allBits, clearBit, hasBit, setBit } from '../util/bits.ts'
import { blockLength } from '../util/block-length.ts'
import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'
import { LinkEstimate } from './link-estimate.ts'
import { RequestQueue } from './request-queue.ts'

/** Cancelled requests that are remembered, as they may still be answered. */
const maxCancelled = 1024
/** A peer that refuses this many pieces is not asked at all until it is tried again. */
const maxRefused = 64
/** After a refusal the peer is asked for the same piece again after this long, twice that after the next, and so on. */
const minRetryMs = 250
const maxRetryMs = 60_000
/** Pieces that a peer gained are looked at one by one instead of a search through all, so many of them. */
const mostGained = 32
/** Pieces that a choking peer may offer; BEP 6 speaks of ten. */
const maxAllowedFast = 256

/** Stands for a set in which there has never been anything: most peers never need theirs. Nothing is ever added to it. */
const nothing: Set<number> = new Set()

/** Stands for the pieces gained of late of a peer that gained none. Nothing is ever added to it. */
export const nothingRecent: number[] = []

/** What the picker knows of one peer. What each block needs stands first, and so together: of thousands of peers it is in no cache. */
export class PeerState {
  readonly source: BlockSource
  readonly id: PeerNumber
  /** Whether the peer has every piece. */
  seed = false
  /** Whether the peer chokes us. */
  choked = true
  /** Whether we have told the peer that we are interested. */
  interested = false
  /** Whether it owes us blocks for too long; then it is asked for one at a time. */
  snubbed = false
  /** Whether the one block that a snubbed peer is asked for may be asked of others as well. */
  owing = false
  /** Whether it may only fetch whole pieces alone after a bad piece. */
  suspect = false
  /** Whether all that is known of bad pieces points at it: readers do not wait for it while there are others. */
  discredited = false
  /** Whether the last search found nothing for it, and nothing has changed since. */
  starved = false
  /** How many requests the peer lets us queue (BEP 10 `reqq`). */
  maxRequests = 250
  /** Requests that the pipeline may hold, grown block by block. */
  depth = 6
  /** Blocks that others brought in its place since it last delivered one. */
  rescued = 0
  /** How often in a row a block was given up. */
  strikes = 0
  /** The piece that it was last asked for in the background, or -1. */
  currentPiece = -1
  #retryMs = minRetryMs
  /** Pieces that it has refused while not choking us; it is not asked for them before `retryAt`. */
  #refused: Set<number> = nothing
  /** Keys of blocks whose requests were cancelled; they may come all the same. */
  #cancelled: Set<number> = nothing
  /** Asked for and still to come, oldest first. */
  readonly outstanding: RequestQueue = new RequestQueue()
  readonly link: LinkEstimate
  /** Bit i (from the high end of each byte) says that the peer has piece i; empty where it has all or none. */
  bits: Uint8Array
  /** A piece that we want and the peer has, for which alone it is looked at anew once it is there; -1 for none, or a seed. */
  standsFor = -1
  /** Pieces that it gained of late and that were wanted then, and how many these were: the place of the next one follows from it. */
  recent: number[] = nothingRecent
  gainedCount = 0
  /** At how many additions to what is wanted a search found nothing of it but what is `recent`; -1 for no such search. */
  barrenAt = -1
  /** Whether it is one of the fastest of the swarm. */
  isFast = false
  /** How much had ever been added to the order of missing pieces when the peer had none of it; -1 before that. */
  nothingNewAt = -1
  /** Pieces that it gained since then, at most so many as are worth looking at one by one. */
  gained: number[] = nothingRecent
  #allowedFast: Set<number> = nothing
  retryAt: number = Number.POSITIVE_INFINITY
  /** Pieces that it suggests (BEP 6). */
  readonly suggested: number[] = []

  constructor(source: BlockSource, bits: Uint8Array, latencyMs: number, bytesPerMs: number) {
    this.source = source
    this.id = source.id
    this.bits = bits
    this.link = new LinkEstimate(latencyMs, bytesPerMs)
  }

  /** Whether the peer has a piece. */
  has(piece: PieceIndex): boolean {
    return this.seed || hasBit(this.bits, piece)
  }

  /** Whether its bits say that it has all of so many pieces. */
  hasAll(pieceCount: number): boolean {
    const whole = pieceCount >> 3
    for (let at = 0; at < whole; at++) if (this.bits[at] !== 0xff) return false
    const rest = (0xff00 >> (pieceCount & 7)) & 0xff
    return ((this.bits[whole] ?? 0) & rest) === rest
  }

  /** The peer, which is no seed, has one more piece. */
  gain(piece: PieceIndex): void {
    setBit(this.bits, piece)
  }

  /** The peer has one of `pieceCount` pieces no longer. */
  lose(piece: PieceIndex, pieceCount: number): void {
    if (this.seed) {
      this.seed = false
      this.bits = allBits(pieceCount)
    }
    clearBit(this.bits, piece)
  }

  /** A search found nothing, after `additions` to the order of missing pieces. */
  foundNothing(additions: number): void {
    this.nothingNewAt = additions
    if (this.gained.length > 0) this.gained = nothingRecent
  }

  /** A search may find this piece, which the peer has gained. */
  mayFind(piece: PieceIndex): void {
    if (this.nothingNewAt < 0) return
    if (this.gained.length >= mostGained) this.nothingNewAt = -1
    else if (this.gained === nothingRecent) this.gained = [piece]
    else if (!this.gained.includes(piece)) this.gained.push(piece)
  }

  /** Whether the peer would send blocks of a piece if it were asked now. */
  serves(piece: PieceIndex): boolean {
    if (!this.has(piece)) return false
    if (this.choked) return this.#allowedFast.has(piece)
    return this.#refused.size === 0 || (this.#refused.size < maxRefused && !this.#refused.has(piece))
  }

  /** Whether the peer would send anything. */
  get servesAny(): boolean {
    return this.choked ? this.#allowedFast.size > 0 : this.#refused.size < maxRefused
  }

  /** The peer offers a piece while it chokes us (BEP 6). */
  allow(piece: PieceIndex): void {
    if (this.#allowedFast === nothing) this.#allowedFast = new Set()
    if (this.#allowedFast.size < maxAllowedFast) this.#allowedFast.add(piece)
  }

  /** The peer no longer offers a piece while it chokes us. */
  disallow(piece: PieceIndex): void {
    this.#allowedFast.delete(piece)
  }

  /** Pieces that it serves while choking us (BEP 6). */
  get allowedFast(): ReadonlySet<number> {
    return this.#allowedFast
  }

  /** The peer refuses a piece that it has and should send. */
  refuse(piece: PieceIndex, now: number): void {
    if (this.#refused === nothing) this.#refused = new Set()
    if (this.#refused.size === 0) {
      this.retryAt = now + this.#retryMs
      this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2)
    }
    this.#refused.add(piece)
  }

  /** The peer is asked again for what it has refused. */
  retry(): void {
    this.#refused.clear()
    this.retryAt = Number.POSITIVE_INFINITY
  }

  /** A block has come: whatever was held against the peer is forgotten. */
  delivered(): void {
    this.snubbed = false
    this.strikes = 0
    this.rescued = 0
    this.#retryMs = minRetryMs
  }

  /** Remembers that a request was cancelled. */
  remember(key: number): void {
    if (this.#cancelled === nothing) this.#cancelled = new Set()
    if (this.#cancelled.size >= maxCancelled) this.#cancelled.clear()
    this.#cancelled.add(key)
  }

  /** Whether a request was cancelled and not answered since. */
  wasCancelled(key: number): boolean {
    return this.#cancelled.has(key)
  }

  /** A cancelled request is answered; false if there was none. */
  answered(key: number): boolean {
    return this.#cancelled.delete(key)
  }

  /** Where in `outstanding` a block stands, or -1. */
  indexOf(piece: PieceIndex, block: BlockIndex): number {
    return this.outstanding.indexOf(piece, block)
  }

  /** When a further block of `bytes`, asked for now, would be here. */
  etaOfNext(bytes: number, now: number): number {
    const { link, outstanding } = this
    const ownMs = bytes / link.bytesPerMs
    if (outstanding.length === 0) return now + link.latencyMs + ownMs
    const queueMs = (outstanding.bytes - outstanding.bytesAt(0)) / link.bytesPerMs
    return Math.max(link.headAt(now) + queueMs, now + link.latencyMs) + ownMs
  }

  /** When the outstanding block at `index` should be here. */
  etaOf(index: number, now: number): number {
    return this.link.headAt(now) + (index * blockLength) / this.link.bytesPerMs
  }

  /** Adds a request; the caller sends it. */
  push(piece: PieceIndex, block: BlockIndex, bytes: number, now: number): void {
    if (this.outstanding.length === 0) {
      this.owing = false
      this.link.expectHead(bytes, now, now)
    }
    this.outstanding.push(piece, block, bytes, now)
  }

  /** Something came that was called off, or never asked for: what is asked for comes after it. */
  sentOther(now: number): void {
    const { link, outstanding } = this
    link.touched(now)
    if (outstanding.length > 0) link.expectHead(outstanding.bytesAt(0), outstanding.sentAt(0), now)
  }

  /** Takes a request out: its block came, or was called off. */
  take(index: number, came: boolean, now: number): void {
    const { link, outstanding } = this
    if (index < 0 || index >= outstanding.length) return
    outstanding.remove(index)
    if (outstanding.length === 0) link.headEta = Number.POSITIVE_INFINITY
    else if (index === 0) {
      const bytes = outstanding.bytesAt(0)
      // What was called off shows nothing: who was late before is late still.
      link.expectHead(bytes, outstanding.sentAt(0), came ? now : link.headEta - bytes / link.bytesPerMs)
    }
  }
}
