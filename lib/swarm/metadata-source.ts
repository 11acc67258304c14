import { monotonicMs } from '../util/clock.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { MetadataExtension, type MetadataHandlers } from '../wire/ut-metadata.ts'
import type { Peer } from './peer.ts'

/** Initial request queue depth: 512 KiB, so that most metadata arrives within one round trip. */
const firstWindow = 32
/** Maximum request queue depth. Transmission refuses more; libtorrent accepts a thousand. */
const mostWindow = 64
/** Milliseconds without an answer after which outstanding requests are repeated. */
const repeatMs = 10_000
/** Pause after a rejection by a peer that has sent nothing (BEP 9 peers also reject while they lack the metadata). */
const refusalMs = 30_000
/** Pause before a rejected piece is requested again, doubled with each rejection up to `refusalMs`. */
const retryMs = 1000
/** Maximum changes of the claimed length before a peer is distrusted: metadata has one length, and each claim costs requests. */
const mostChanges = 3
/** Milliseconds without an answer after which a peer counts as unresponsive. */
const patienceMs = 1000

/** Callbacks of {@link MetadataSource}s, as one object for all peers. */
export interface MetadataSourceEvents {
  /** The peer may have pieces for us. */
  onReady(source: MetadataSource): void
  /** The peer asks for a piece. */
  onRequest(source: MetadataSource, piece: number): void
  /** The peer sent a requested piece of the length that it claims; `bytes` are borrowed for the call. */
  onData(source: MetadataSource, piece: number, bytes: Uint8Array): void
  /** The peer rejected a request. */
  onReject(source: MetadataSource, piece: number): void
}

/** Incomplete metadata. */
export interface WantedPieces {
  readonly pieceCount: number
  /** Whether a piece was received. */
  has(piece: number): boolean
  /** Whether a recent request to another peer covers a piece. */
  isUnderWay(piece: number, now: number): boolean
  /** Records that a piece was requested. */
  asked(piece: number, now: number): void
}

/** One peer of the metadata exchange: its claimed length, our requests to it, and how many pieces we served. */
export class MetadataSource implements MetadataHandlers {
  readonly extension: MetadataExtension
  /** Number of pieces that we sent to it. */
  served = 0
  /** Whether it sent wrong metadata; then it is not asked again. */
  isDistrusted = false
  readonly #events: MetadataSourceEvents
  /** Outstanding requests, for metadata of the claimed length. */
  readonly #outstanding = new LazySet<number>()
  /** Rejected pieces, with the last pause in milliseconds and the time of the next request. */
  readonly #refused = new LazyMap<number, { readonly restMs: number; readonly until: number }>()
  #length: number | undefined
  /** Whether its extended handshake arrived, and how often its claimed length changed. */
  #isMet = false
  #changes = 0
  /** Request queue depth: grows by one with each answer, which doubles it each round trip. */
  #window = firstWindow
  #windowMost = mostWindow
  /** Whether it is unresponsive and the window was halved for that. */
  #isQuiet = false
  /** Whether it sent a piece of the claimed length. */
  #isGiver = false
  #waitUntil = 0
  #askedAt = 0
  #heardAt = 0

  /** Attaches the extension to the peer's wire. Create it before our extended handshake is sent. */
  constructor({ wire }: Peer, events: MetadataSourceEvents) {
    this.#events = events
    this.extension = wire.use(new MetadataExtension(wire, this))
  }

  /** The claimed length of the metadata in bytes; undefined if the peer cannot be asked. */
  get claim(): number | undefined {
    return this.isDistrusted || this.#length === 0 || !this.extension.supported ? undefined : this.#length
  }

  /** Pieces with an outstanding request. */
  get outstanding(): Iterable<number> {
    return this.#outstanding
  }

  /** Whether it may be asked: it does not pause after a rejection. */
  isWilling(now: number): boolean {
    return now >= this.#waitUntil
  }

  /** Whether it may be asked and is responsive. */
  isLively(now: number): boolean {
    return this.isWilling(now) && (this.#outstanding.size === 0 || this.#quiet(now) < patienceMs)
  }

  /** Requests missing pieces until `most` are outstanding; skips pieces that are under way from other peers. */
  ask(attempt: WantedPieces, most: number, now: number): void {
    if (!this.isWilling(now)) return
    this.#shrinkIfQuiet(now)
    // Some clients drop excess requests silently.
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

  /** Forgets outstanding requests and rejections. */
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
    // A peer rejects requests beyond its queue, so the remaining ones show how deep it is.
    this.#windowMost = Math.min(this.#windowMost, Math.max(this.#outstanding.size, this.#windowMost >> 1, 1))
    this.#window = Math.min(this.#window, this.#windowMost)
    this.#events.onReject(this, piece)
  }

  /** Halves the window once each time the peer becomes unresponsive. */
  #shrinkIfQuiet(now: number): void {
    if (this.#isQuiet || this.#outstanding.size === 0 || this.#quiet(now) < patienceMs) return
    this.#isQuiet = true
    this.#window = Math.max(this.#window >> 1, 1)
  }

  #quiet(now: number): number {
    return now - Math.max(this.#askedAt, this.#heardAt)
  }
}
