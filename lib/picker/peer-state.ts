import type { BlockSource } from '../pieces/block-source.ts'
import { allBits, clearBit, hasBit, setBit } from '../util/bits.ts'
import { blockLength } from '../util/block-length.ts'
import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'
import { LinkEstimate } from './link-estimate.ts'
import { RequestQueue } from './request-queue.ts'

/** Maximum number of cancelled requests that are remembered, because they may still be answered. */
const maxCancelled = 1024
/** A peer that refuses this many pieces gets no requests until its retry. */
const maxRefused = 64
/** Delay before a refused piece is requested again; doubles with each refusal. */
const minRetryMs = 250
const maxRetryMs = 60_000
/** Maximum number of gained pieces that are checked one by one instead of by a full search. */
const mostGained = 32
/** Maximum size of a peer's allowed fast set; BEP 6 suggests ten. */
const maxAllowedFast = 256

/** Shared empty set: most peers never need their own. Must stay empty. */
const nothing: Set<number> = new Set()

/** Shared empty list of recently gained pieces. Must stay empty. */
export const nothingRecent: number[] = []

/** The picker's state of one peer. Fields that each block needs come first, to touch few cache lines in a large swarm. */
export class PeerState {
  readonly source: BlockSource
  readonly id: PeerNumber
  /** Whether the peer has every piece. */
  seed = false
  /** Whether the peer chokes us. */
  choked = true
  /** Whether we have told the peer that we are interested. */
  interested = false
  /** Whether the peer owes us blocks for too long. A snubbed peer has at most one outstanding request. */
  snubbed = false
  /** Whether other peers may be asked for the outstanding block of this snubbed peer. */
  owing = false
  /** Whether the peer may only fetch whole pieces alone, after a bad piece. */
  suspect = false
  /** Whether all evidence about bad pieces points at the peer. Readers use it only if no other peer serves the piece. */
  discredited = false
  /** Whether the last search for a block found nothing, and nothing has changed since. */
  starved = false
  /** Maximum number of requests that the peer queues (BEP 10 `reqq`). */
  maxRequests = 250
  /** Limit of the request queue depth; grows by one with each block. */
  depth = 6
  /** Blocks owed by this peer that other peers delivered since its last block. */
  rescued = 0
  /** How many times in a row its overdue requests were cancelled. */
  strikes = 0
  /** Piece of its last background request, or -1. */
  currentPiece = -1
  #retryMs = minRetryMs
  /** Pieces that the peer refused while it did not choke us. They are not requested again before `retryAt`. */
  #refused: Set<number> = nothing
  /** Keys of blocks whose requests were cancelled. They may still arrive. */
  #cancelled: Set<number> = nothing
  /** Outstanding requests, oldest first. */
  readonly outstanding: RequestQueue = new RequestQueue()
  readonly link: LinkEstimate
  /** Bit i (from the high end of each byte) is set if the peer has piece i. Empty if the peer has all or none. */
  bits: Uint8Array
  /** The wanted piece under which `Interest` files the peer; -1 for none, or for a seed. */
  standsFor = -1
  /** Ring of wanted pieces that the peer gained recently. */
  recent: number[] = nothingRecent
  /** Number of pieces ever put into the ring, which gives the next index. */
  gainedCount = 0
  /** Count of additions in `Interest` when a search found no wanted piece but those in `recent`; -1 without such a search. */
  barrenAt = -1
  /** Whether it is one of the fastest peers of the swarm. */
  isFast = false
  /** `Additions.count` when a search last found no new piece for the peer; -1 if the next search must be a full one. */
  nothingNewAt = -1
  /** Pieces that the peer gained since then, up to `mostGained`. */
  gained: number[] = nothingRecent
  #allowedFast: Set<number> = nothing
  retryAt: number = Number.POSITIVE_INFINITY
  /** Pieces that the peer suggests (BEP 6). */
  readonly suggested: number[] = []

  constructor(source: BlockSource, bits: Uint8Array, latencyMs: number, bytesPerMs: number) {
    this.source = source
    this.id = source.id
    this.bits = bits
    this.link = new LinkEstimate(latencyMs, bytesPerMs)
  }

  has(piece: PieceIndex): boolean {
    return this.seed || hasBit(this.bits, piece)
  }

  /** Whether its bits are set for all `pieceCount` pieces. */
  hasAll(pieceCount: number): boolean {
    const whole = pieceCount >> 3
    for (let at = 0; at < whole; at++) if (this.bits[at] !== 0xff) return false
    const rest = (0xff00 >> (pieceCount & 7)) & 0xff
    return ((this.bits[whole] ?? 0) & rest) === rest
  }

  /** Adds a piece to a peer that is not a seed. */
  gain(piece: PieceIndex): void {
    setBit(this.bits, piece)
  }

  /** Removes one of `pieceCount` pieces of the peer. */
  lose(piece: PieceIndex, pieceCount: number): void {
    if (this.seed) {
      this.seed = false
      this.bits = allBits(pieceCount)
    }
    clearBit(this.bits, piece)
  }

  /** Records that a search found nothing after `additions` to the order of missing pieces. */
  foundNothing(additions: number): void {
    this.nothingNewAt = additions
    if (this.gained.length > 0) this.gained = nothingRecent
  }

  /** Records a gained piece that the next search should check. */
  mayFind(piece: PieceIndex): void {
    if (this.nothingNewAt < 0) return
    if (this.gained.length >= mostGained) this.nothingNewAt = -1
    else if (this.gained === nothingRecent) this.gained = [piece]
    else if (!this.gained.includes(piece)) this.gained.push(piece)
  }

  /** Whether the peer would send blocks of a piece now. */
  serves(piece: PieceIndex): boolean {
    if (!this.has(piece)) return false
    if (this.choked) return this.#allowedFast.has(piece)
    return this.#refused.size === 0 || (this.#refused.size < maxRefused && !this.#refused.has(piece))
  }

  /** Whether the peer would send any piece now. */
  get servesAny(): boolean {
    return this.choked ? this.#allowedFast.size > 0 : this.#refused.size < maxRefused
  }

  /** Adds a piece to the allowed fast set (BEP 6), up to 256 pieces. */
  allow(piece: PieceIndex): void {
    if (this.#allowedFast === nothing) this.#allowedFast = new Set()
    if (this.#allowedFast.size < maxAllowedFast) this.#allowedFast.add(piece)
  }

  /** Removes a piece from the allowed fast set. */
  disallow(piece: PieceIndex): void {
    this.#allowedFast.delete(piece)
  }

  /** Pieces that the peer serves while it chokes us (BEP 6). */
  get allowedFast(): ReadonlySet<number> {
    return this.#allowedFast
  }

  /** Records that the peer refused a piece that it has and should send. */
  refuse(piece: PieceIndex, now: number): void {
    if (this.#refused === nothing) this.#refused = new Set()
    if (this.#refused.size === 0) {
      this.retryAt = now + this.#retryMs
      this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2)
    }
    this.#refused.add(piece)
  }

  /** Clears the refused pieces, so that they are requested again. */
  retry(): void {
    this.#refused.clear()
    this.retryAt = Number.POSITIVE_INFINITY
  }

  /** Clears the peer's bad marks, because a block arrived. */
  delivered(): void {
    this.snubbed = false
    this.strikes = 0
    this.rescued = 0
    this.#retryMs = minRetryMs
  }

  /** Remembers that the request with this block key was cancelled. */
  remember(key: number): void {
    if (this.#cancelled === nothing) this.#cancelled = new Set()
    if (this.#cancelled.size >= maxCancelled) this.#cancelled.clear()
    this.#cancelled.add(key)
  }

  /** Whether the request was cancelled and has not been answered since. */
  wasCancelled(key: number): boolean {
    return this.#cancelled.has(key)
  }

  /** Forgets a cancelled request because it was answered. Returns false if there was none. */
  answered(key: number): boolean {
    return this.#cancelled.delete(key)
  }

  /** Returns the index of a block in `outstanding`, or -1. */
  indexOf(piece: PieceIndex, block: BlockIndex): number {
    return this.outstanding.indexOf(piece, block)
  }

  /** Returns when one more block of `bytes`, requested now, would arrive. */
  etaOfNext(bytes: number, now: number): number {
    const { link, outstanding } = this
    const ownMs = bytes / link.bytesPerMs
    if (outstanding.length === 0) return now + link.latencyMs + ownMs
    const queueMs = (outstanding.bytes - outstanding.bytesAt(0)) / link.bytesPerMs
    return Math.max(link.headAt(now) + queueMs, now + link.latencyMs) + ownMs
  }

  /** Returns when the outstanding block at `index` should arrive. */
  etaOf(index: number, now: number): number {
    return this.link.headAt(now) + (index * blockLength) / this.link.bytesPerMs
  }

  /** Adds a request to the queue. The caller sends it. */
  push(piece: PieceIndex, block: BlockIndex, bytes: number, now: number): void {
    if (this.outstanding.length === 0) {
      this.owing = false
      this.link.expectHead(bytes, now, now)
    }
    this.outstanding.push(piece, block, bytes, now)
  }

  /** Records data that answers no outstanding request. The outstanding blocks follow after it. */
  sentOther(now: number): void {
    const { link, outstanding } = this
    link.touched(now)
    if (outstanding.length > 0) link.expectHead(outstanding.bytesAt(0), outstanding.sentAt(0), now)
  }

  /** Removes the request at `index`. `came` is true if its block arrived, false if it was cancelled. */
  take(index: number, came: boolean, now: number): void {
    const { link, outstanding } = this
    if (index < 0 || index >= outstanding.length) return
    outstanding.remove(index)
    if (outstanding.length === 0) link.headEta = Number.POSITIVE_INFINITY
    else if (index === 0) {
      const bytes = outstanding.bytesAt(0)
      // A cancel proves nothing about the link: a peer that was late stays late.
      link.expectHead(bytes, outstanding.sentAt(0), came ? now : link.headEta - bytes / link.bytesPerMs)
    }
  }
}
