import { type InfoHashes, isInfoOf } from '../metainfo/info-hashes.ts'
import { monotonicMs } from '../util/clock.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { metadataPieceLength } from '../wire/limits.ts'
import { MetadataAttempt } from './metadata-attempt.ts'
import type { MetadataHolder, MetadataMemory } from './metadata-memory.ts'
import { MetadataSource, type MetadataSourceEvents } from './metadata-source.ts'
import type { Peer } from './peer.ts'

/** Requests outstanding at all peers: 4 MiB, so that a crowd of wrong claims gets no more than a share of a slow link. */
const mostOutstanding = 256
/** Attempts that are kept for a length that no peer claims now. */
const mostOrphans = 4
/** One peer alone has this time for all of it, and as much again for each MiB; then the next is asked as well. */
const aloneMs = 5000
const aloneMsPerMiB = 2000
/** How often a peer gets each piece, on average: choked peers get it too. */
const mostServings = 4

/**
 * The `info` dictionary between peers (BEP 9): collects it from several at once while it is unknown, serves it once it
 * is known. Every length that peers claim is collected by itself and none waits for another, so that a wrong claim costs
 * bandwidth and nothing else. When pieces of several peers did not fit together, each peer of that length is asked for all
 * of it, one more whenever those before had their time, and without taking anything from them: a slow peer may still be right.
 */
export class MetadataExchange implements MetadataSourceEvents, MetadataHolder {
  readonly #infoHashes: InfoHashes
  readonly #onMetadata: (info: Uint8Array) => void
  #info: Uint8Array | undefined
  readonly #sources = new LazyMap<number, MetadataSource>()
  /** The attempt of all peers that claim a length. */
  readonly #shared = new LazyMap<number, MetadataAttempt>()
  /** Lengths of which one of several peers has sent wrong pieces. */
  readonly #distrusted = new LazySet<number>()
  /** The attempt of one peer alone, with such a length. */
  readonly #single = new LazyMap<MetadataSource, MetadataAttempt>()
  readonly #memory: MetadataMemory
  #isOver = false

  /**
   * An exchange for the 20-byte info hash; `onMetadata` is called once with the bytes that have that hash. Metadata that is not whole yet is kept
   * in `memory`, which other torrents share.
   */
  constructor(infoHashes: InfoHashes, memory: MetadataMemory, onMetadata: (info: Uint8Array) => void) {
    this.#infoHashes = infoHashes
    this.#memory = memory
    this.#onMetadata = onMetadata
  }

  /** The metadata is known. */
  set(info: Uint8Array): void {
    this.#info = info
    this.close()
  }

  /** Asks no peer any more, and holds no memory that others need. */
  close(): void {
    this.#isOver = true
    for (const attempt of this.#attempts()) this.#release(attempt)
    this.#shared.clear()
    this.#single.clear()
    for (const source of this.#sources.values()) source.settle()
  }

  /** Bytes of the metadata, undefined while it is unknown. */
  get length(): number | undefined {
    return this.#info?.length
  }

  /** Connected peers that offer the metadata. */
  get sourceCount(): number {
    let count = 0
    for (const { claim } of this.#sources.values()) if (claim !== undefined) count++
    return count
  }

  /** Takes a peer; before our extended handshake is sent. */
  addPeer(peer: Peer): void {
    this.#sources.set(peer.id, new MetadataSource(peer, this))
  }

  /** The peer has gone. */
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

  /** Asks again what did not come; to be called about once a second while the metadata is unknown. */
  wake(): void {
    if (this.#isOver) return
    for (const source of this.#sources.values()) this.onReady(source)
  }

  /** @internal The peer asks for a piece. */
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

  /** @internal The peer may have what we want: asks it for what it is to send. */
  onReady(source: MetadataSource): void {
    const now = monotonicMs()
    const attempt = this.#attempt(source, now)
    if (attempt === undefined || attempt.isResting(now)) return
    const { all, same } = this.#lively(attempt.length, now)
    // Each peer of that length is asked for its part of metadata that all collect together.
    const part = this.#single.has(source)
      ? attempt.pieceCount
      : Math.ceil(attempt.missing / Math.max(same, 1))
    source.ask(attempt, Math.min(Math.max(2, part), Math.ceil(mostOutstanding / Math.max(all, 1))), now)
  }

  /** @internal The peer has sent a piece. */
  onData(source: MetadataSource, piece: number, bytes: Uint8Array): void {
    const attempt = this.#single.get(source) ?? this.#shared.get(source.claim ?? 0)
    if (attempt === undefined || attempt.length !== source.claim || attempt.isResting(monotonicMs())) return
    if (attempt.add(source, piece, bytes)) this.#memory.take(this, bytes.length)
    if (attempt.missing > 0) this.onReady(source)
    else this.#finish(attempt)
  }

  /** @internal The peer will not send a piece: another may. */
  onReject(source: MetadataSource, piece: number): void {
    this.#shared.get(source.claim ?? 0)?.unasked(piece)
  }

  /** The attempt that the peer takes part in, if there is one for it by now. */
  #attempt(source: MetadataSource, now: number): MetadataAttempt | undefined {
    const length = source.claim
    if (length === undefined || this.#isOver) return undefined
    const single = this.#single.get(source)
    if (single?.length === length) return single
    this.#forget(source)
    const isShared = !this.#distrusted.has(length)
    const shared = this.#shared.get(length)
    if (shared !== undefined) return shared
    if (!isShared && (!source.isWilling(now) || this.#isOthersTurn(length, now))) return undefined
    const attempt = new MetadataAttempt(length, isShared, now)
    if (isShared) {
      // It may have claimed another length before.
      this.#prune()
      this.#shared.set(length, attempt)
    } else this.#single.set(source, attempt)
    return attempt
  }

  /** Whether a peer that alone is asked for all of this length has not had its time. */
  #isOthersTurn(length: number, now: number): boolean {
    const turnMs = aloneMs + (aloneMsPerMiB * length) / 2 ** 20
    return [...this.#single.values()].some((one) => one.length === length && now - one.startedAt < turnMs)
  }

  /** How many peers may be counted on, and how many of them claim this length. */
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

  /** How many peers claim this length. */
  #claims(length: number): number {
    let count = 0
    for (const { claim } of this.#sources.values()) if (claim === length) count++
    return count
  }

  /** Forgets lengths that no peer claims now, but for a few of which pieces are here: they are of use again when a peer does. */
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

  /** Ends the attempt of this peer alone. */
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

  /** @internal For the bound on memory: how long the attempt that will be whole last takes, all the longer the fewer claim its length. */
  waste(): number {
    const now = monotonicMs()
    return Math.max(...this.#attempts().map((attempt) => this.#waste(attempt, now)))
  }

  /** @internal Drops that attempt. */
  spare(): void {
    const now = monotonicMs()
    const most = this.waste()
    const last = this.#attempts().find((attempt) => this.#waste(attempt, now) === most)
    if (last === undefined) return
    this.#release(last)
    last.drop(now)
  }

  #waste(attempt: MetadataAttempt, now: number): number {
    if (attempt.held === 0) return Number.NEGATIVE_INFINITY
    return attempt.timeLeft(now) / this.#claims(attempt.length)
  }

  /** All pieces are here: they have the hash, or a peer has sent wrong ones. */
  #finish(attempt: MetadataAttempt): void {
    const { length, senders } = attempt
    const info = attempt.join()
    if (isInfoOf(this.#infoHashes, info)) {
      this.set(info)
      this.#onMetadata(info)
      return
    }
    // A single sender is to blame; several are asked one after the other.
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
