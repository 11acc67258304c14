import { monotonicMs } from '../util/clock.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { MetadataExtension, type MetadataHandlers } from '../wire/ut-metadata.ts'
import type { Peer } from './peer.ts'

/** Requests that a peer has outstanding at first: 512 KiB, so that most metadata comes in a single round trip. */
const firstWindow = 32
/** Requests that it may have once it answers: Transmission refuses more, libtorrent takes a thousand. */
const mostWindow = 64
/** A peer that sent nothing for this long is asked again for what it owes. */
const repeatMs = 10_000
/** A peer that gave nothing and refused is asked again after this time (BEP 9 peers refuse while they do not have it either). */
const refusalMs = 30_000
/** One that gave something is asked again for what it refused after this time, then twice that, and so on up to the other. */
const retryMs = 1000
/** A peer that claims so many other lengths is not asked any more: metadata has one, and each has all peers of that length asked anew. */
const mostChanges = 3
/** A peer that owes something and sent nothing for this long is not counted on. */
const patienceMs = 1000

/** Callbacks of {@link MetadataSource}s, as one object for all peers. */
export interface MetadataSourceEvents {
  /** The peer may have what we want. */
  onReady(source: MetadataSource): void
  /** The peer asks for a piece. */
  onRequest(source: MetadataSource, piece: number): void
  /** The peer has sent a piece that it was asked for, of the length that it claims; `bytes` are borrowed for the call. */
  onData(source: MetadataSource, piece: number, bytes: Uint8Array): void
  /** The peer will not send a piece that it was asked for. */
  onReject(source: MetadataSource, piece: number): void
}

/** Metadata of which pieces are missing. */
export interface WantedPieces {
  readonly pieceCount: number
  /** Whether a piece is here. */
  has(piece: number): boolean
  /** Whether another peer is about to send a piece. */
  isUnderWay(piece: number, now: number): boolean
  /** A peer was asked for a piece. */
  asked(piece: number, now: number): void
}

/** One peer of the metadata exchange: the length that it claims, requests to it, and pieces that it was given. */
export class MetadataSource implements MetadataHandlers {
  readonly extension: MetadataExtension
  /** Pieces that were given to it. */
  served = 0
  /** It has sent wrong metadata, and is not asked any more. */
  isDistrusted = false
  readonly #events: MetadataSourceEvents
  /** Pieces that it was asked for and did not answer; of the length that it claims. */
  readonly #outstanding = new LazySet<number>()
  /** Pieces that it refused: how long it was left alone for each the last time, and when it may be asked again. */
  readonly #refused = new LazyMap<number, { readonly restMs: number; readonly until: number }>()
  #length: number | undefined
  /** Whether it has told that it knows the extension, and how often the length that it claims has changed. */
  #isMet = false
  #changes = 0
  /** How many requests it may have outstanding: one more with each answer, so that they double with each round trip. */
  #window = firstWindow
  #windowMost = mostWindow
  /** It keeps us waiting, and the window has shrunk for that. */
  #isQuiet = false
  /** It has given a piece of the length that it claims. */
  #isGiver = false
  #waitUntil = 0
  #askedAt = 0
  #heardAt = 0

  /** To be made before our extended handshake is sent. */
  constructor({ wire }: Peer, events: MetadataSourceEvents) {
    this.#events = events
    this.extension = wire.use(new MetadataExtension(wire, this))
  }

  /** The length of the metadata as it claims; undefined for one that cannot be asked. */
  get claim(): number | undefined {
    return this.isDistrusted || this.#length === 0 || !this.extension.supported ? undefined : this.#length
  }

  /** Pieces that it was asked for and did not answer. */
  get outstanding(): Iterable<number> {
    return this.#outstanding
  }

  /** Whether it may be asked: it has not refused everything of late. */
  isWilling(now: number): boolean {
    return now >= this.#waitUntil
  }

  /** Whether an answer may be counted on: it may be asked, and does not keep us waiting. */
  isLively(now: number): boolean {
    return this.isWilling(now) && (this.#outstanding.size === 0 || this.#quiet(now) < patienceMs)
  }

  /** Asks for pieces that are missing, until `most` are outstanding; of an attempt that it shares only pieces that no other peer is about to send. */
  ask(attempt: WantedPieces, most: number, now: number): void {
    if (!this.isWilling(now)) return
    this.#shrinkIfQuiet(now)
    // Some drop what is too much for them and say nothing.
    const isLate = this.#outstanding.size > 0 && this.#quiet(now) >= repeatMs
    if (isLate) for (const piece of this.#outstanding) if (attempt.has(piece)) this.#outstanding.delete(piece)
    let room = Math.min(most, this.#window) - this.#outstanding.size
    let again = isLate ? this.#window : 0
    for (let piece = 0; piece < attempt.pieceCount && (room > 0 || again > 0); piece++) {
      if (attempt.has(piece) || now < (this.#refused.get(piece)?.until ?? 0)) continue
      if (this.#outstanding.has(piece)) {
        if (again-- <= 0) continue
      } else {
        if (room <= 0 || attempt.isUnderWay(piece, now)) continue
        room--
      }
      if (!this.extension.request(piece)) return
      this.#outstanding.add(piece)
      attempt.asked(piece, now)
      this.#askedAt = now
    }
  }

  /** Owes nothing any more, and may be asked for anything. */
  settle(): void {
    this.#outstanding.clear()
    this.#refused.clear()
  }

  /** @internal */
  onReady(size: number | undefined): void {
    if (this.isDistrusted || (size === this.#length && this.#isMet)) return
    this.#isMet = true
    if (size !== this.#length) {
      this.settle()
      this.#isGiver = false
      if (this.#length !== undefined) this.isDistrusted = ++this.#changes > mostChanges
    }
    this.#length = size
    this.#events.onReady(this)
  }

  /** @internal */
  onRequest(piece: number): void {
    this.#events.onRequest(this, piece)
  }

  /** @internal */
  onData(piece: number, length: number, bytes: Uint8Array): void {
    if (length !== this.claim || !this.#outstanding.delete(piece)) return
    this.#heardAt = monotonicMs()
    this.#isQuiet = false
    this.#isGiver = true
    this.#waitUntil = 0
    this.#window = Math.min(this.#window + 1, this.#windowMost)
    this.#events.onData(this, piece, bytes)
  }

  /** @internal */
  onReject(piece: number): void {
    if (!this.#outstanding.delete(piece)) return
    const now = monotonicMs()
    const restMs = Math.min(2 * (this.#refused.get(piece)?.restMs ?? retryMs / 2), refusalMs)
    this.#refused.set(piece, { restMs, until: now + restMs })
    if (!this.#isGiver) this.#waitUntil = now + refusalMs
    // A peer refuses all requests beyond its queue, so the others fill it.
    this.#windowMost = Math.min(this.#windowMost, Math.max(this.#outstanding.size, this.#windowMost >> 1, 1))
    this.#window = Math.min(this.#window, this.#windowMost)
    this.#events.onReject(this, piece)
  }

  /** Halves the window once for each time that the peer keeps us waiting. */
  #shrinkIfQuiet(now: number): void {
    if (this.#isQuiet || this.#outstanding.size === 0 || this.#quiet(now) < patienceMs) return
    this.#isQuiet = true
    this.#window = Math.max(this.#window >> 1, 1)
  }

  #quiet(now: number): number {
    return now - Math.max(this.#askedAt, this.#heardAt)
  }
}
