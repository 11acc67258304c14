import { metadataPieceLength } from '../wire/limits.ts'
import type { MetadataSource, WantedPieces } from './metadata-source.ts'

/** Milliseconds after which a piece is requested from another peer too. */
const patienceMs = 1000
/** Minimum age for the rate estimate: the rate of the first moments predicts little. */
const leastAgeMs = 1000
/** Pause after an attempt was dropped, doubled each time: an immediate retry would be dropped again. */
const firstRestMs = 2000
const mostRestMs = 60_000

/** Metadata of one length while it is collected, from all peers that claim this length or from a single peer. */
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

  /** Creates an empty attempt. A shared one does not request a piece from two peers at once. */
  constructor(length: number, isShared: boolean, now: number) {
    this.length = length
    this.pieceCount = Math.ceil(length / metadataPieceLength)
    this.startedAt = now
    this.#isShared = isShared
    this.#pieces = Array(this.pieceCount)
    this.#missing = this.pieceCount
    this.#begunAt = now
  }

  /** Number of missing pieces. */
  get missing(): number {
    return this.#missing
  }

  /** Bytes of the pieces received so far. */
  get held(): number {
    return this.#held
  }

  /** Whether a piece was received. */
  has(piece: number): boolean {
    return this.#pieces[piece] !== undefined
  }

  /** Whether a recent request to another peer covers a piece. */
  isUnderWay(piece: number, now: number): boolean {
    return this.#isShared && now - (this.#askedAt.get(piece) ?? Number.NEGATIVE_INFINITY) < patienceMs
  }

  /** Records that a piece was requested from a peer. */
  asked(piece: number, now: number): void {
    this.#askedAt.set(piece, now)
  }

  /** Records that the peer will not send the piece, so that another can be asked. */
  unasked(piece: number): void {
    this.#askedAt.delete(piece)
  }

  /** Stores a copy of a piece; returns whether it was missing. */
  add(source: MetadataSource, piece: number, bytes: Uint8Array): boolean {
    if (this.has(piece)) return false
    this.#pieces[piece] = bytes.slice()
    this.#askedAt.delete(piece)
    this.senders.add(source)
    this.#missing--
    this.#held += bytes.length
    return true
  }

  /** Estimates the milliseconds until it is whole at the rate so far; `Infinity` before the first piece. */
  timeLeft(now: number): number {
    const age = Math.max(now - this.#begunAt, leastAgeMs)
    return (age * this.#missing) / (this.pieceCount - this.#missing)
  }

  /** Whether it pauses after it was dropped. */
  isResting(now: number): boolean {
    return now < this.#begunAt
  }

  /** Drops all pieces and starts over after a pause. */
  drop(now: number): void {
    this.#pieces.fill(undefined)
    this.#askedAt.clear()
    this.senders.clear()
    this.#missing = this.pieceCount
    this.#held = 0
    this.#begunAt = now + this.#restMs
    this.#restMs = Math.min(2 * this.#restMs, mostRestMs)
  }

  /** Returns the whole metadata; call it once no piece is missing. */
  join(): Uint8Array {
    const info = new Uint8Array(this.length)
    this.#pieces.forEach((piece, n) => {
      if (piece !== undefined) info.set(piece, n * metadataPieceLength)
    })
    return info
  }
}
