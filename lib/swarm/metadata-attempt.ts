import { metadataPieceLength } from '../wire/limits.ts'
import type { MetadataSource, WantedPieces } from './metadata-source.ts'

/** A piece that does not come within this time is asked of another peer too. */
const patienceMs = 1000
/** The age that an attempt counts at least: the rate of its first moment says little of its later rate. */
const leastAgeMs = 1000
/** An attempt that was dropped rests this long, then twice that, and so on: it would only be dropped again. */
const firstRestMs = 2000
const mostRestMs = 60_000

/** Metadata of one length while it is collected, from all peers that claim this length or from one alone. */
export class MetadataAttempt implements WantedPieces {
  readonly length: number
  readonly pieceCount: number
  readonly startedAt: number
  readonly senders: Set<MetadataSource> = new Set()
  readonly #isShared: boolean
  readonly #pieces: (Uint8Array | undefined)[]
  readonly #askedAt = new Map<number, number>()
  #missing: number
  #held = 0
  #begunAt: number
  #restMs = firstRestMs

  /** An attempt without pieces; a shared one does not ask two peers for the same piece at once. */
  constructor(length: number, isShared: boolean, now: number) {
    this.length = length
    this.pieceCount = Math.ceil(length / metadataPieceLength)
    this.startedAt = now
    this.#isShared = isShared
    this.#pieces = Array(this.pieceCount)
    this.#missing = this.pieceCount
    this.#begunAt = now
  }

  /** How many pieces are not here. */
  get missing(): number {
    return this.#missing
  }

  /** Bytes of the pieces that are here. */
  get held(): number {
    return this.#held
  }

  /** Whether a piece is here. */
  has(piece: number): boolean {
    return this.#pieces[piece] !== undefined
  }

  /** Whether another peer is about to send a piece. */
  isUnderWay(piece: number, now: number): boolean {
    return this.#isShared && now - (this.#askedAt.get(piece) ?? Number.NEGATIVE_INFINITY) < patienceMs
  }

  /** A peer was asked for a piece. */
  asked(piece: number, now: number): void {
    this.#askedAt.set(piece, now)
  }

  /** The peer that was asked for a piece will not send it. */
  unasked(piece: number): void {
    this.#askedAt.delete(piece)
  }

  /** Keeps a copy of a piece; whether it was missing. */
  add(source: MetadataSource, piece: number, bytes: Uint8Array): boolean {
    if (this.has(piece)) return false
    this.#pieces[piece] = bytes.slice()
    this.#askedAt.delete(piece)
    this.senders.add(source)
    this.#missing--
    this.#held += bytes.length
    return true
  }

  /** Milliseconds until all of it is here, if it goes on as it did; `Infinity` before anything has come. */
  timeLeft(now: number): number {
    const age = Math.max(now - this.#begunAt, leastAgeMs)
    return (age * this.#missing) / (this.pieceCount - this.#missing)
  }

  /** Whether it was dropped not long ago. */
  isResting(now: number): boolean {
    return now < this.#begunAt
  }

  /** Drops all pieces, and begins anew later. */
  drop(now: number): void {
    this.#pieces.fill(undefined)
    this.#askedAt.clear()
    this.senders.clear()
    this.#missing = this.pieceCount
    this.#held = 0
    this.#begunAt = now + this.#restMs
    this.#restMs = Math.min(2 * this.#restMs, mostRestMs)
  }

  /** All of it, once no piece is missing. */
  join(): Uint8Array {
    const info = new Uint8Array(this.length)
    this.#pieces.forEach((piece, n) => {
      if (piece !== undefined) info.set(piece, n * metadataPieceLength)
    })
    return info
  }
}
