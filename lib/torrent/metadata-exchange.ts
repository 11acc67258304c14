import { createHash } from 'node:crypto'
import { equalBytes } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { metadataLengthMax, metadataPieceLength } from '../wire/limits.ts'
import { MetadataExtension, type MetadataHandlers } from '../wire/ut-metadata.ts'
import type { Peer } from './peer.ts'

/** Requests that one peer may have outstanding: 256 KiB, so that most metadata comes in a single round trip. */
const perPeer = 16
/** A piece that does not come within this time is asked of another peer too. */
const patienceMs = 1000
/** A peer that sent nothing for this long is asked again for what it owes. */
const repeatMs = 10_000
/** A peer that refused is asked again after this time (BEP 9 peers refuse while they do not have it either). */
const refusalMs = 30_000
/** Lengths that peers claim, and that are collected side by side; more would only help liars. */
const mostLengths = 4
/** An attempt to which nothing came for this long makes room for another length, or for another peer. */
const staleMs = 6000
/** Bytes that all attempts may hold: the longest metadata, and half of that for attempts that lead nowhere. */
const mostBytes = 1.5 * metadataLengthMax
/** How often a peer gets each piece, on average: it is a gift, given also to those who may not request blocks. */
const mostServings = 4
/** Failed attempts after which a peer is not asked any more. */
const mostFailures = 2

/** What a {@link Source} passes on, as one object for all peers. */
interface SourceEvents {
  onReady(source: Source): void
  onRequest(source: Source, piece: number): void
  onData(source: Source, piece: number, length: number, bytes: Uint8Array): void
}

/** What is known of one peer. */
class Source implements MetadataHandlers {
  readonly extension: MetadataExtension
  readonly outstanding: LazyMap<number, number> = new LazyMap()
  failures = 0
  waitUntil = 0
  /** When its last piece came. */
  heardAt = 0
  /** Pieces that it was given. */
  served = 0
  readonly #events: SourceEvents

  constructor({ wire }: Peer, events: SourceEvents) {
    this.#events = events
    this.extension = wire.use(new MetadataExtension(wire, this))
  }

  onReady(): void {
    this.#events.onReady(this)
  }

  onRequest(piece: number): void {
    this.#events.onRequest(this, piece)
  }

  onData(piece: number, length: number, bytes: Uint8Array): void {
    this.#events.onData(this, piece, length, bytes)
  }

  onReject(piece: number): void {
    this.outstanding.delete(piece)
    this.waitUntil = monotonicMs() + refusalMs
  }
}

interface Attempt {
  readonly length: number
  readonly pieces: (Uint8Array | undefined)[]
  readonly senders: Set<Source>
  /** The only peer that is asked, after pieces of several did not fit together. */
  readonly owner: Source | undefined
  missing: number
  /** Bytes of the pieces that are here. */
  held: number
  changedAt: number
}

/**
 * The `info` dictionary between peers (BEP 9): collects it from several at once while it is unknown, serves it once it
 * is known. Every length that peers claim is collected by itself, so that a liar costs time and nothing else.
 */
export class MetadataExchange implements SourceEvents {
  readonly #infoHash: Uint8Array
  readonly #onMetadata: (info: Uint8Array) => void
  #info: Uint8Array | undefined
  readonly #sources = new LazyMap<number, Source>()
  readonly #attempts = new LazyMap<number, Attempt>()
  readonly #mostBytes: number
  /** Lengths of which one of several peers has sent wrong pieces. */
  readonly #distrusted = new LazySet<number>()

  /**
   * An exchange for the 20-byte info hash; `onMetadata` is called once with the bytes that have that hash. Pieces of `limit` bytes in
   * all are kept at most.
   */
  constructor(infoHash: Uint8Array, onMetadata: (info: Uint8Array) => void, limit: number = mostBytes) {
    this.#infoHash = infoHash
    this.#onMetadata = onMetadata
    this.#mostBytes = limit
  }

  /** The metadata is known. */
  set(info: Uint8Array): void {
    this.#info = info
    this.#attempts.clear()
    for (const source of this.#sources.values()) source.outstanding.clear()
  }

  /** Bytes of the metadata, undefined while it is unknown. */
  get length(): number | undefined {
    return this.#info?.length
  }

  /** Takes a peer; before our extended handshake is sent. */
  addPeer(peer: Peer): void {
    this.#sources.set(peer.id, new Source(peer, this))
  }

  /** The peer has gone. */
  removePeer(peer: Peer): void {
    const source = this.#sources.get(peer.id)
    this.#sources.delete(peer.id)
    // What came of a length that nobody claims now is of use again when somebody does.
    for (const { length, owner } of this.#attempts.values()) {
      if (owner !== undefined && owner === source) this.#attempts.delete(length)
    }
    this.wake()
  }

  /** Asks again what did not come; to be called about once a second while the metadata is unknown. */
  wake(): void {
    if (this.#info !== undefined) return
    for (const source of this.#sources.values()) this.onReady(source)
  }

  /** @internal The peer asks for a piece. */
  onRequest(source: Source, piece: number): void {
    const { extension } = source
    const start = piece * metadataPieceLength
    const length = this.#info?.length ?? 0
    const isGreedy = source.served * metadataPieceLength >= mostServings * (length + metadataPieceLength)
    if (this.#info === undefined || start >= length || isGreedy) {
      extension.reject(piece)
      return
    }
    source.served++
    extension.data(piece, length, this.#info.subarray(start, start + metadataPieceLength))
  }

  /** @internal The peer may have what we want: asks it for what it is to send. */
  onReady(source: Source): void {
    const { extension, outstanding } = source
    const { size } = extension
    const now = monotonicMs()
    if (this.#info !== undefined || !extension.supported || size === undefined || size === 0) return
    if (source.failures >= mostFailures || now < source.waitUntil) return
    const attempt = this.#attempt(source, size, now)
    if (attempt === undefined) return
    const most = Math.min(perPeer, Math.max(2, Math.ceil(attempt.pieces.length / this.#claims(size))))
    for (let piece = 0; piece < attempt.pieces.length; piece++) {
      if (attempt.pieces[piece] !== undefined) continue
      const askedAt = outstanding.get(piece)
      if (askedAt === undefined && outstanding.size >= most) continue
      // Some drop what is too much for them and say nothing.
      if (askedAt !== undefined && now - Math.max(askedAt, source.heardAt) < repeatMs) continue
      if (attempt.owner === undefined && this.#isUnderWay(size, piece, now)) continue
      if (!extension.request(piece)) return
      outstanding.set(piece, now)
    }
  }

  /** How many peers claim this length. */
  #claims(length: number): number {
    let count = 0
    for (const { extension, failures } of this.#sources.values()) {
      if (extension.size === length && failures < mostFailures) count++
    }
    return count
  }

  #isUnderWay(size: number, piece: number, now: number): boolean {
    for (const { extension, outstanding } of this.#sources.values()) {
      const askedAt = outstanding.get(piece)
      if (extension.size === size && askedAt !== undefined && now - askedAt < patienceMs) return true
    }
    return false
  }

  /** The attempt at this length that the peer may take part in, if there is one for it. */
  #attempt(source: Source, length: number, now: number): Attempt | undefined {
    const known = this.#attempts.get(length)
    if (known !== undefined) {
      const { owner } = known
      if (owner === undefined || owner === source) return known
      if (now - known.changedAt < staleMs) return undefined
      owner.failures++
      owner.outstanding.clear()
      this.#attempts.delete(length)
    }
    if (this.#attempts.size >= mostLengths) {
      const attempts = [...this.#attempts.values()]
      const stale =
        attempts.find((one) => this.#claims(one.length) === 0) ??
        attempts.find(({ changedAt }) => now - changedAt >= staleMs)
      if (stale === undefined) return undefined
      this.#attempts.delete(stale.length)
    }
    const count = Math.ceil(length / metadataPieceLength)
    const attempt: Attempt = {
      length,
      pieces: Array(count),
      senders: new Set(),
      owner: this.#distrusted.has(length) ? source : undefined,
      missing: count,
      held: 0,
      changedAt: now
    }
    source.outstanding.clear()
    this.#attempts.set(length, attempt)
    return attempt
  }

  /** Keeps to the bound on memory: what the fewest claim goes, and of those the longest. */
  #spare(current: Attempt): void {
    let held = 0
    for (const attempt of this.#attempts.values()) held += attempt.held
    if (held <= this.#mostBytes) return
    const [first] = [...this.#attempts.values()]
      .filter((attempt) => attempt !== current && attempt.held > 0)
      .sort((a, b) => this.#claims(a.length) - this.#claims(b.length) || b.held - a.held)
    if (first !== undefined) this.#attempts.delete(first.length)
  }

  /** @internal The peer has sent a piece. */
  onData(source: Source, piece: number, length: number, bytes: Uint8Array): void {
    const attempt = this.#attempts.get(length)
    source.heardAt = monotonicMs()
    if (!source.outstanding.delete(piece) || this.#info !== undefined || attempt === undefined) return
    if (attempt.owner !== undefined && attempt.owner !== source) return
    attempt.changedAt = source.heardAt
    if (attempt.pieces[piece] === undefined) {
      attempt.pieces[piece] = bytes.slice()
      attempt.senders.add(source)
      attempt.missing--
      attempt.held += bytes.length
      this.#spare(attempt)
    }
    if (attempt.missing > 0) {
      this.onReady(source)
      return
    }
    this.#attempts.delete(length)
    const info = Buffer.concat(attempt.pieces.filter((part) => part !== undefined))
    if (equalBytes(createHash('sha1').update(info).digest(), this.#infoHash)) {
      this.set(new Uint8Array(info))
      this.#onMetadata(new Uint8Array(info))
      return
    }
    // One of them lied. With one sender it is known who; several are asked one after the other.
    const [first, ...others] = attempt.senders
    if (others.length > 0) this.#distrusted.add(length)
    else if (first !== undefined) first.failures = mostFailures
    this.wake()
  }
}
