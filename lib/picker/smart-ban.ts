import { equalBytes } from '../util/bytes.ts'
import { debug } from '../util/debug.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { NumberMap } from '../util/number-map.ts'

const log = debug('ban')

/** Digest of a block of the piece at hand (any hash of a few bytes that a peer cannot forge), or undefined if unknown. */
export type BlockDigest = (block: BlockIndex) => Uint8Array | undefined

/** The most digests kept in all: some 150 bytes each, so about 3 MB, and enough for 64 failed pieces of 4 MiB. */
const mostVersions = 16_384
/** The most versions kept of one block: more attempts at one piece say nothing new. */
const mostVersionsOfBlock = 8
/** The most pieces whose senders are kept: more are never in the making, so the oldest was given up silently. */
const mostOpenPieces = 4096
/** The most hosts under suspicion: far more than a torrent has connections. */
const mostHosts = 4096

interface Version {
  readonly host: string
  readonly digest: Uint8Array
}

/** What is known of a piece that has failed. */
interface Failure {
  /** For each block the versions seen. */
  readonly versions: Map<number, Version[]>
  /** Who sent each block of the copy that failed last. */
  senders: readonly (string | undefined)[]
  /** How many blocks have versions that differ. */
  contradictions: number
  /** The hosts that took part in each of these contradictions; undefined before the first. */
  common: ReadonlySet<string> | undefined
}

/**
 * Finds who sent bad blocks. Peers are named by their host, so that coming back under another id does not help.
 *
 * When a piece fails, a single contributor is guilty at once. Of several, the digest of each block and its sender are
 * kept; when the piece passes later, those are guilty whose block differs from the good one. A host that sent two
 * versions of one block is guilty in any case. Until then its contributors are suspects, who should fetch whole pieces
 * alone, so that the next failure has one author. Only failed hashes count, never faults of our own storage.
 *
 * A host is discredited when it is guilty, or when all that is known points at it: each block of a failed piece that two
 * hosts sent differently was sent by it. Hosts in league could bring that about, so it is not banned for it, but nothing
 * that it sent is relied on.
 */
export class SmartBan {
  /** For each piece the sender of each block. */
  readonly #open = new NumberMap<(string | undefined)[]>()
  /** Pieces that failed and have not passed since; the one that failed last is the youngest. */
  readonly #failed = new LazyMap<number, Failure>()
  /** For each suspect the failed pieces that it is suspected for. */
  readonly #suspects = new LazyMap<string, Set<number>>()
  readonly #guilty = new LazySet<string>()
  #versions = 0
  #changes = 0

  /** A block of a piece was taken from a host; a later sender replaces an earlier one, as its bytes do. */
  contributed(piece: PieceIndex, block: BlockIndex, host: string): void {
    let senders = this.#open.get(piece)
    if (senders === undefined) {
      // Where a piece has one block the list needs room for no more.
      senders = block === 0 ? [host] : []
      dropOldest(this.#open, mostOpenPieces)
      this.#open.set(piece, senders)
    }
    senders[block] = host
  }

  /** The blocks of a piece are given up without a verdict. */
  forget(piece: PieceIndex): void {
    this.#end(piece)
  }

  /** The hosts that sent the blocks of a piece, without repetition. */
  contributors(piece: PieceIndex): string[] {
    const senders = this.#open.get(piece) ?? []
    return [...new Set(senders.filter((host) => host !== undefined))]
  }

  /** What a host contributed to pieces that are not whole yet: blocks by piece. */
  sentBy(host: string): Map<number, readonly number[]> {
    const sent = new Map<number, readonly number[]>()
    for (const [piece, senders] of this.#open) {
      const blocks: number[] = []
      for (let block = 0; block < senders.length; block++) if (senders[block] === host) blocks.push(block)
      if (blocks.length > 0) sent.set(piece, blocks)
    }
    return sent
  }

  /** Blocks of a piece that is not whole were thrown away. */
  discarded(piece: PieceIndex, blocks: Iterable<number>): void {
    const senders = this.#open.get(piece)
    if (senders !== undefined) for (const block of blocks) senders[block] = undefined
  }

  /** Whether a piece failed and has not passed since: then each of its blocks is to be told to `compare`. */
  isContested(piece: PieceIndex): boolean {
    return this.#failed.has(piece)
  }

  /** The pieces that are contested. */
  get contested(): Iterable<number> {
    return this.#failed.keys()
  }

  /** Counts what may have changed whom to believe while blocks are compared. */
  get changes(): number {
    return this.#changes
  }

  /** A block of a contested piece came: returns its sender if that has sent something else before and so is to be banned. */
  compare(piece: PieceIndex, block: BlockIndex, host: string, digest: Uint8Array): string | undefined {
    const failure = this.#failed.get(piece)
    if (failure === undefined || this.#record(piece, failure, block, host, digest)) return undefined
    this.#convict([host])
    return host
  }

  /**
   * A piece of `blockCount` blocks came together and its hash was wrong: returns the hosts to ban, and suspects the
   * others. Blocks of unknown origin (read back after a restart) are allowed; then nobody is the single contributor.
   */
  failed(piece: PieceIndex, blockCount: number, digestOf: BlockDigest): string[] {
    const senders = this.#open.get(piece) ?? []
    const hosts = this.contributors(piece)
    this.#end(piece)
    const [only] = hosts
    if (only !== undefined && hosts.length === 1 && known(senders) === blockCount) {
      if (log.enabled) log('%s is guilty: it sent all of piece %d, and the hash is wrong', only, piece)
      this.#convict([only])
      return [only]
    }
    const guilty = new Set<string>()
    const failure = this.#failed.get(piece) ?? {
      versions: new Map(),
      senders,
      contradictions: 0,
      common: undefined
    }
    failure.senders = senders
    this.#failed.delete(piece)
    this.#failed.set(piece, failure)
    senders.forEach((host, block) => {
      const digest = host === undefined ? undefined : digestOf(block)
      if (host === undefined || digest === undefined) return
      if (!this.#record(piece, failure, block, host, digest)) guilty.add(host)
    })
    if (log.enabled) log('piece %d is wrong: one of %s sent bad blocks', piece, hosts.join(', '))
    for (const host of hosts) this.#suspect(host, piece)
    this.#convict(guilty)
    return [...guilty]
  }

  /**
   * A piece came together and its hash was right: returns the hosts whose earlier blocks differ, which are to be
   * banned. The others are no longer suspected for it, and a host that sent all of it is cleared altogether.
   */
  passed(piece: PieceIndex, digestOf: BlockDigest): string[] {
    // Nobody is under suspicion nearly always, and then there is nothing to find out.
    if (this.#failed.size === 0 && this.#suspects.size === 0) {
      this.#end(piece)
      return []
    }
    const [only, ...others] = this.contributors(piece)
    this.#end(piece)
    if (only !== undefined && others.length === 0) this.#suspects.delete(only)
    const guilty = new Set<string>()
    for (const [block, versions] of this.#failed.get(piece)?.versions ?? []) {
      const digest = digestOf(block)
      if (digest === undefined) continue
      for (const version of versions) {
        if (equalBytes(version.digest, digest)) continue
        if (log.enabled)
          log(
            '%s is guilty: its block %d of piece %d differs from the one that is right',
            version.host,
            block,
            piece
          )
        guilty.add(version.host)
      }
    }
    this.#drop(piece)
    this.#convict(guilty)
    return [...guilty]
  }

  /** Whether nothing that this host sent is to be relied on: it is guilty, or all that is known points at it. */
  isDiscredited(host: string): boolean {
    if (this.#guilty.has(host)) return true
    if (!this.isSuspect(host)) return false
    for (const failure of this.#failed.values()) if (primeOf(failure) === host) return true
    return false
  }

  /**
   * The blocks of the copy of a piece that failed last which no discredited host sent, with their senders; none unless one
   * was among its senders, because then any block may be the wrong one.
   */
  believable(piece: PieceIndex): Map<number, string> {
    const blocks = new Map<number, string>()
    const { senders = [] } = this.#failed.get(piece) ?? {}
    const bad = new Set<string>()
    for (const host of new Set(senders)) if (host !== undefined && this.isDiscredited(host)) bad.add(host)
    if (bad.size === 0) return blocks
    senders.forEach((host, block) => {
      if (host !== undefined && !bad.has(host)) blocks.set(block, host)
    })
    return blocks
  }

  /** Whether the host should fetch whole pieces alone (parole), because a piece failed that it took part in. */
  isSuspect(host: string): boolean {
    return this.#suspects.has(host)
  }

  /** Keeps a version of a block; false when the host has sent another before. */
  #record(piece: PieceIndex, failure: Failure, block: BlockIndex, host: string, digest: Uint8Array): boolean {
    const versions = failure.versions.get(block) ?? []
    const earlier = versions.find((version) => version.host === host)
    if (earlier !== undefined) {
      const isSame = equalBytes(earlier.digest, digest)
      if (!isSame && log.enabled)
        log('%s is guilty: it sent block %d of piece %d twice, with different bytes', host, block, piece)
      return isSame
    }
    if (versions.length >= mostVersionsOfBlock || !this.#room(piece)) return true
    if (versions.length === 0) failure.versions.set(block, versions)
    const [first] = versions
    const wasAgreed = versions.every((version) => equalBytes(version.digest, first?.digest ?? digest))
    versions.push({ host, digest: digest.slice() })
    this.#versions++
    // A further version of a block in dispute has the same hosts on its sides, and more: it tells nothing new.
    if (!wasAgreed || first === undefined || equalBytes(first.digest, digest)) return true
    failure.contradictions++
    const { common } = failure
    failure.common = new Set(
      versions.map((version) => version.host).filter((side) => common?.has(side) !== false)
    )
    const prime = primeOf(failure)
    if (prime !== undefined) this.#suspect(prime, piece)
    this.#changes++
    return true
  }

  /** What a piece came together from is known no longer. */
  #end(piece: PieceIndex): void {
    this.#open.delete(piece)
    if (this.#open.size === 0) this.#open.clear()
  }

  #suspect(host: string, piece: PieceIndex): void {
    let pieces = this.#suspects.get(host)
    if (pieces === undefined) {
      pieces = new Set()
      dropOldest(this.#suspects, mostHosts)
      this.#suspects.set(host, pieces)
    }
    pieces.add(piece)
  }

  #convict(hosts: Iterable<string>): void {
    for (const host of hosts) {
      this.#changes++
      this.#suspects.delete(host)
      const [oldest] = this.#guilty
      if (this.#guilty.size >= mostHosts && oldest !== undefined) this.#guilty.delete(oldest)
      this.#guilty.add(host)
    }
  }

  /** Makes room for one more digest by dropping the oldest failed pieces but this one. */
  #room(piece: PieceIndex): boolean {
    for (const oldest of this.#failed.keys()) {
      if (this.#versions < mostVersions || oldest === piece) break
      this.#drop(oldest)
    }
    return this.#versions < mostVersions
  }

  /** Drops a failed piece; without its digests no verdict can come, so nobody stays suspected for it. */
  #drop(piece: PieceIndex): void {
    const failure = this.#failed.get(piece)
    if (failure === undefined) return
    for (const versions of failure.versions.values()) this.#versions -= versions.length
    this.#failed.delete(piece)
    for (const [host, pieces] of this.#suspects) {
      if (pieces.delete(piece) && pieces.size === 0) this.#suspects.delete(host)
    }
  }
}

function known(senders: readonly (string | undefined)[]): number {
  return senders.reduce((count, host) => count + (host === undefined ? 0 : 1), 0)
}

/**
 * The only host that took part in every contradiction between versions of a block, when there are two of them or more. A single
 * one has two sides that are equally likely to be right.
 */
function primeOf({ contradictions, common }: Failure): string | undefined {
  const [only] = common ?? []
  return contradictions >= 2 && common?.size === 1 ? only : undefined
}

/** What a map is as far as {@link dropOldest} is concerned; its keys come in the order in which they were set. */
interface Ordered<K> {
  readonly size: number
  keys(): Iterable<K>
  delete(key: K): boolean
}

/** Makes room for one more entry by dropping the oldest. */
function dropOldest<K>(map: Ordered<K>, limit: number): void {
  if (map.size < limit) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
