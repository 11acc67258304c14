import { equalBytes } from '../util/bytes.ts'
import { debug } from '../util/debug.ts'
import type { BlockIndex, PieceIndex } from '../util/indices.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { NumberMap } from '../util/number-map.ts'

const log = debug('ban')

/** Returns the digest of a block of the current piece, or undefined if unknown. Any hash of a few bytes that peers cannot forge. */
export type BlockDigest = (block: BlockIndex) => Uint8Array | undefined

/** Maximum number of digests in all: about 150 bytes each, so about 3 MB, and enough for 64 failed pieces of 4 MiB. */
const mostVersions = 16_384
/** Maximum number of versions per block: further attempts at one piece tell nothing new. */
const mostVersionsOfBlock = 8
/** Maximum number of pieces whose senders are recorded. Fewer are ever in progress, so the oldest was given up. */
const mostOpenPieces = 4096
/** Maximum number of suspect hosts, and of guilty ones: far more than the connections of a torrent. */
const mostHosts = 4096

interface Version {
  readonly host: string
  readonly digest: Uint8Array
}

/** Evidence about a piece that has failed. */
interface Failure {
  /** The versions seen of each block. */
  readonly versions: Map<number, Version[]>
  /** The sender of each block of the copy that failed last. */
  senders: readonly (string | undefined)[]
  /** Number of blocks with versions that differ. */
  contradictions: number
  /** Hosts that took part in every one of these contradictions; undefined before the first. */
  common: ReadonlySet<string> | undefined
}

/**
 * Finds the senders of bad blocks. Peers are identified by host, so that reconnecting under another peer id does not help.
 *
 * When a piece fails, a single contributor is guilty at once. With several contributors, the digest and sender of each block are
 * recorded; when the piece passes later, the senders of blocks that differ from the good ones are guilty. A host that sent
 * two versions of one block is always guilty. Until then the contributors are suspects, which fetch whole pieces alone, so
 * that the next failure has one author. Only failed hashes count, never storage errors.
 *
 * A host is discredited if it is guilty, or if all evidence points at it: it sent one version of each block that differs
 * between two hosts. Colluding hosts could cause that, so the host is not banned for it, but nothing it sent is relied on.
 */
export class SmartBan {
  /** The sender of each block, by piece. */
  readonly #open = new NumberMap<(string | undefined)[]>()
  /** Pieces that failed and have not passed since, by their last failure, oldest first. */
  readonly #failed = new LazyMap<number, Failure>()
  /** For each suspect, the failed pieces that it contributed to. */
  readonly #suspects = new LazyMap<string, Set<number>>()
  readonly #guilty = new LazySet<string>()
  #versions = 0
  #changes = 0

  /** Records the sender of a block. A later sender replaces an earlier one, as its bytes do. */
  contributed(piece: PieceIndex, block: BlockIndex, host: string): void {
    let senders = this.#open.get(piece)
    if (senders === undefined) {
      // For a piece with one block, the literal allocates no spare room.
      senders = block === 0 ? [host] : []
      dropOldest(this.#open, mostOpenPieces)
      this.#open.set(piece, senders)
    }
    senders[block] = host
  }

  /** Forgets the senders of a piece that is dropped without a verdict. */
  forget(piece: PieceIndex): void {
    this.#end(piece)
  }

  /** Returns the distinct hosts that sent blocks of a piece. */
  contributors(piece: PieceIndex): string[] {
    const senders = this.#open.get(piece) ?? []
    return [...new Set(senders.filter((host) => host !== undefined))]
  }

  /** Returns the blocks of incomplete pieces that a host sent, by piece. */
  sentBy(host: string): Map<number, readonly number[]> {
    const sent = new Map<number, readonly number[]>()
    for (const [piece, senders] of this.#open) {
      const blocks: number[] = []
      for (let block = 0; block < senders.length; block++) if (senders[block] === host) blocks.push(block)
      if (blocks.length > 0) sent.set(piece, blocks)
    }
    return sent
  }

  /** Forgets the senders of blocks that were dropped from an incomplete piece. */
  discarded(piece: PieceIndex, blocks: Iterable<number>): void {
    const senders = this.#open.get(piece)
    if (senders !== undefined) for (const block of blocks) senders[block] = undefined
  }

  /** Whether a piece failed and has not passed since. Each block of such a piece goes to `compare`. */
  isContested(piece: PieceIndex): boolean {
    return this.#failed.has(piece)
  }

  /** The contested pieces. */
  get contested(): Iterable<number> {
    return this.#failed.keys()
  }

  /** Number of comparisons so far that may have changed which hosts are trusted. */
  get changes(): number {
    return this.#changes
  }

  /** Compares a block of a contested piece with earlier versions. Returns the sender, which must be banned, if it sent a different version before. */
  compare(piece: PieceIndex, block: BlockIndex, host: string, digest: Uint8Array): string | undefined {
    const failure = this.#failed.get(piece)
    if (failure === undefined || this.#record(piece, failure, block, host, digest)) return undefined
    this.#convict([host])
    return host
  }

  /**
   * Handles a complete piece of `blockCount` blocks with a wrong hash. Returns the hosts to ban, and suspects the others. Blocks
   * of unknown origin (read back after a restart) are allowed; then no host counts as the single contributor.
   */
  failed(piece: PieceIndex, blockCount: number, digestOf: BlockDigest): string[] {
    const senders = this.#open.get(piece) ?? []
    const hosts = this.contributors(piece)
    this.#end(piece)
    const [only] = hosts
    if (only !== undefined && hosts.length === 1 && countKnown(senders) === blockCount) {
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
   * Handles a complete piece with the right hash. Returns the hosts to ban: those whose earlier blocks differ. The other contributors
   * are no longer suspected because of this piece, and a host that sent all of it is cleared altogether.
   */
  passed(piece: PieceIndex, digestOf: BlockDigest): string[] {
    // Fast path: usually no piece has failed and no host is a suspect.
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

  /** Whether the host is guilty, or all evidence points at it. Nothing that it sent should be relied on. */
  isDiscredited(host: string): boolean {
    if (this.#guilty.has(host)) return true
    if (!this.isSuspect(host)) return false
    for (const failure of this.#failed.values()) if (primeOf(failure) === host) return true
    return false
  }

  /**
   * Returns the blocks of the last failed copy of a piece that no discredited host sent, with their senders. Empty if no sender is
   * discredited, because then any block may be the wrong one.
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

  /** Whether the host should fetch whole pieces alone (parole), because it contributed to a failed piece. */
  isSuspect(host: string): boolean {
    return this.#suspects.has(host)
  }

  /** Records a version of a block. Returns false if the host has sent another version before. */
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
    // A further version of a block that is already disputed involves the same hosts and more, so it narrows nothing down.
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

  /** Forgets the senders of a piece. */
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

  /** Makes room for one more digest by dropping the oldest failed pieces other than this one. Returns whether there is room. */
  #room(piece: PieceIndex): boolean {
    for (const oldest of this.#failed.keys()) {
      if (this.#versions < mostVersions || oldest === piece) break
      this.#drop(oldest)
    }
    return this.#versions < mostVersions
  }

  /** Drops a failed piece. Without its digests no verdict can follow, so no host stays suspected because of it. */
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

function countKnown(senders: readonly (string | undefined)[]): number {
  return senders.reduce((count, host) => count + (host === undefined ? 0 : 1), 0)
}

/**
 * Returns the only host that took part in every contradiction between versions of a block, if there are two or more
 * contradictions. The two sides of a single one are equally likely to be right.
 */
function primeOf({ contradictions, common }: Failure): string | undefined {
  const [only] = common ?? []
  return contradictions >= 2 && common?.size === 1 ? only : undefined
}

/** The part of a map that {@link dropOldest} needs. Its keys are in insertion order. */
interface Ordered<K> {
  readonly size: number
  keys(): Iterable<K>
  delete(key: K): boolean
}

/** Makes room for one more entry by dropping the oldest if the map has `limit` entries. */
function dropOldest<K>(map: Ordered<K>, limit: number): void {
  if (map.size < limit) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
