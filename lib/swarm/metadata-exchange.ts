import { type InfoHashes, isInfoOf } from '../metainfo/info-hashes.ts'
import { monotonicMs } from '../util/clock.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { metadataPieceLength } from '../wire/limits.ts'
import { MetadataAttempt } from './metadata-attempt.ts'
import type { MetadataHolder, MetadataMemory } from './metadata-memory.ts'
import { MetadataSource, type MetadataSourceEvents } from './metadata-source.ts'
import type { Peer } from './peer.ts'

/** Maximum outstanding requests to all peers together: 4 MiB, which bounds how much of a slow link false claims can take. */
const mostOutstanding = 256
/** Maximum attempts kept for lengths that no connected peer claims. */
const mostOrphans = 4
/** Milliseconds that a single peer has for the whole metadata, plus `aloneMsPerMiB`; then the next peer is asked as well. */
const aloneMs = 5000
const aloneMsPerMiB = 2000
/** Maximum times that each piece is sent to one peer, on average. Choking does not limit metadata uploads. */
const mostServings = 4

/**
 * Exchanges the `info` dictionary with peers (BEP 9): collects it from several peers at once while it is unknown, and serves it once it
 * is known. Each length that peers claim is collected separately, so a false claim costs only bandwidth. When the pieces of several peers
 * do not match the info hash, each peer of that length is asked for the whole metadata. The next peer is asked when the previous
 * ones have used up their time; their attempts continue, because a slow peer may be right.
 */
export class MetadataExchange implements MetadataSourceEvents, MetadataHolder {
  readonly #infoHashes: InfoHashes
  readonly #onMetadata: (info: Uint8Array) => void
  #info: Uint8Array | undefined
  readonly #sources = new LazyMap<number, MetadataSource>()
  /** Attempts by length, each shared by all peers that claim the length. */
  readonly #shared = new LazyMap<number, MetadataAttempt>()
  /** Lengths for which at least one of several senders sent wrong pieces. */
  readonly #distrusted = new LazySet<number>()
  /** Attempts of single peers, for distrusted lengths. */
  readonly #single = new LazyMap<MetadataSource, MetadataAttempt>()
  readonly #memory: MetadataMemory
  #isOver = false

  /**
   * Calls `onMetadata` once, with the bytes that have the info hash. Incomplete metadata is charged to `memory`, which all torrents of a
   * client share.
   */
  constructor(infoHashes: InfoHashes, memory: MetadataMemory, onMetadata: (info: Uint8Array) => void) {
    this.#infoHashes = infoHashes
    this.#memory = memory
    this.#onMetadata = onMetadata
  }

  /** Sets the metadata, which peers are then served. */
  set(info: Uint8Array): void {
    this.#info = info
    this.close()
  }

  /** Stops all requests and releases the memory. */
  close(): void {
    this.#isOver = true
    for (const attempt of this.#attempts()) this.#release(attempt)
    this.#shared.clear()
    this.#single.clear()
    for (const source of this.#sources.values()) source.settle()
  }

  /** Length of the metadata in bytes; undefined while it is unknown. */
  get length(): number | undefined {
    return this.#info?.length
  }

  /** Number of connected peers that offer the metadata. */
  get sourceCount(): number {
    let count = 0
    for (const { claim } of this.#sources.values()) if (claim !== undefined) count++
    return count
  }

  /** Adds a peer. Call it before our extended handshake is sent. */
  addPeer(peer: Peer): void {
    this.#sources.set(peer.id, new MetadataSource(peer, this))
  }

  /** Forgets a peer that disconnected. */
  removePeer(peer: Peer): void {
    const source = this.#sources.get(peer.id)
    if (source === undefined) return
    this.#sources.delete(peer.id)
    this.#forget(source)
    const shared = this.#shared.get(source.claim ?? 0)
    for (const piece of source.outstanding) shared?.unasked(piece)
    this.#prune()
    this.wake()
  }

  /** Repeats overdue requests. Call it about once a second while the metadata is unknown. */
  wake(): void {
    if (this.#isOver) return
    for (const source of this.#sources.values()) this.onReady(source)
  }

  /** @internal Answers a request for a piece. */
  onRequest(source: MetadataSource, piece: number): void {
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

  /** @internal Requests pieces from a peer that may have them. */
  onReady(source: MetadataSource): void {
    const now = monotonicMs()
    const attempt = this.#attempt(source, now)
    if (attempt === undefined || attempt.isResting(now)) return
    const { all, same } = this.#lively(attempt.length, now)
    // In a shared attempt, each peer gets an equal part of the requests.
    const part = this.#single.has(source)
      ? attempt.pieceCount
      : Math.ceil(attempt.missing / Math.max(same, 1))
    source.ask(attempt, Math.min(Math.max(2, part), Math.ceil(mostOutstanding / Math.max(all, 1))), now)
  }

  /** @internal Stores a piece; checks the hash when it was the last one. */
  onData(source: MetadataSource, piece: number, bytes: Uint8Array): void {
    const attempt = this.#single.get(source) ?? this.#shared.get(source.claim ?? 0)
    if (attempt === undefined || attempt.length !== source.claim || attempt.isResting(monotonicMs())) return
    if (attempt.add(source, piece, bytes)) this.#memory.take(this, bytes.length)
    if (attempt.missing > 0) this.onReady(source)
    else this.#finish(attempt)
  }

  /** @internal Makes a refused piece available to other peers. */
  onReject(source: MetadataSource, piece: number): void {
    this.#shared.get(source.claim ?? 0)?.unasked(piece)
  }

  /** Returns the attempt that a peer contributes to, and creates it if needed; undefined while the peer must wait. */
  #attempt(source: MetadataSource, now: number): MetadataAttempt | undefined {
    const length = source.claim
    if (length === undefined || this.#isOver) return undefined
    const single = this.#single.get(source)
    if (single?.length === length) return single
    this.#forget(source)
    const isShared = !this.#distrusted.has(length)
    const shared = this.#shared.get(length)
    if (shared !== undefined) return shared
    if (!isShared && (!source.isWilling(now) || this.#isAnotherTrying(length, now))) return undefined
    const attempt = new MetadataAttempt(length, isShared, now)
    if (isShared) {
      // The peer may have claimed another length before, which then has no peer left.
      this.#prune()
      this.#shared.set(length, attempt)
    } else this.#single.set(source, attempt)
    return attempt
  }

  /** Whether another peer still has time for its single attempt at this length. */
  #isAnotherTrying(length: number, now: number): boolean {
    const limitMs = aloneMs + (aloneMsPerMiB * length) / 2 ** 20
    return [...this.#single.values()].some((one) => one.length === length && now - one.startedAt < limitMs)
  }

  /** Counts responsive peers, and those among them that claim this length. */
  #lively(length: number, now: number): { readonly all: number; readonly same: number } {
    let all = 0
    let same = 0
    for (const source of this.#sources.values()) {
      if (source.claim === undefined || !source.isLively(now)) continue
      all++
      if (source.claim === length) same++
    }
    return { all, same }
  }

  /** Counts the peers that claim this length. */
  #claims(length: number): number {
    let count = 0
    for (const { claim } of this.#sources.values()) if (claim === length) count++
    return count
  }

  /** Drops attempts for lengths that no peer claims, except a few that hold pieces: a new peer may claim the length again. */
  #prune(): void {
    for (const length of this.#distrusted) if (this.#claims(length) === 0) this.#distrusted.delete(length)
    const orphans = [...this.#shared.values()]
      .filter(({ length }) => this.#claims(length) === 0)
      .sort((a, b) => b.held - a.held)
    orphans.forEach((attempt, n) => {
      if (attempt.held > 0 && n < mostOrphans) return
      this.#release(attempt)
      this.#shared.delete(attempt.length)
    })
  }

  /** Drops the single attempt of a peer. */
  #forget(source: MetadataSource): void {
    const attempt = this.#single.get(source)
    if (attempt === undefined) return
    this.#release(attempt)
    this.#single.delete(source)
  }

  #release({ held }: MetadataAttempt): void {
    if (held > 0) this.#memory.give(this, held)
  }

  #attempts(): MetadataAttempt[] {
    return [...this.#shared.values(), ...this.#single.values()]
  }

  /** @internal Returns the highest cost of any attempt; see {@link MetadataHolder}. */
  cost(): number {
    const now = monotonicMs()
    return Math.max(...this.#attempts().map((attempt) => this.#cost(attempt, now)))
  }

  /** @internal Drops the attempt with the highest cost. */
  dropCostliest(): void {
    const now = monotonicMs()
    const most = this.cost()
    const last = this.#attempts().find((attempt) => this.#cost(attempt, now) === most)
    if (last === undefined) return
    this.#release(last)
    last.drop(now)
  }

  #cost(attempt: MetadataAttempt, now: number): number {
    if (attempt.held === 0) return Number.NEGATIVE_INFINITY
    return attempt.timeLeft(now) / this.#claims(attempt.length)
  }

  /** Checks the hash of complete metadata; if it is wrong, distrusts the sender or the length. */
  #finish(attempt: MetadataAttempt): void {
    const { length, senders } = attempt
    const info = attempt.join()
    if (isInfoOf(this.#infoHashes, info)) {
      this.set(info)
      this.#onMetadata(info)
      return
    }
    // With one sender, that peer is at fault. With several, each must send the whole metadata alone.
    const [first, ...others] = senders
    this.#release(attempt)
    this.#shared.delete(length)
    if (others.length > 0) this.#distrusted.add(length)
    else if (first !== undefined) {
      first.isDistrusted = true
      this.#single.delete(first)
    }
    this.wake()
  }
}
