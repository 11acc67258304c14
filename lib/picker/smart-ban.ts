import { equalBytes } from '../util/bytes.ts'

/** Digest of a block of the piece at hand (any hash of a few bytes that a peer cannot forge), or undefined if unknown. */
export type BlockDigest = (block: number) => Uint8Array | undefined

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

/**
 * Finds who sent bad blocks. Peers are named by their host, so that coming back under another id does not help.
 *
 * When a piece fails, a single contributor is guilty at once. Of several, the digest of each block and its sender are
 * kept; when the piece passes later, those are guilty whose block differs from the good one. A host that sent two
 * versions of one block is guilty in any case. Until then its contributors are suspects, who should fetch whole pieces
 * alone, so that the next failure has one author. Only failed hashes count, never faults of our own storage.
 */
export class SmartBan {
  /** For each piece the sender of each block. */
  readonly #open = new Map<number, (string | undefined)[]>()
  /** For each failed piece and block the versions seen. */
  readonly #failed = new Map<number, Map<number, Version[]>>()
  /** For each suspect how many failed pieces it is suspected for. */
  readonly #suspects = new Map<string, Set<number>>()
  /** For each failed piece the host that is part of every contradiction about it, if there is one. */
  readonly #primes = new Map<number, string>()
  #versions = 0

  /** A block of a piece was taken from a host; a later sender replaces an earlier one, as its bytes do. */
  contributed(piece: number, block: number, host: string): void {
    let senders = this.#open.get(piece)
    if (senders === undefined) {
      senders = []
      dropOldest(this.#open, mostOpenPieces)
      this.#open.set(piece, senders)
    }
    senders[block] = host
  }

  /** The blocks of a piece are given up without a verdict. */
  forget(piece: number): void {
    this.#open.delete(piece)
  }

  /** The hosts that sent the blocks of a piece, without repetition. */
  contributors(piece: number): string[] {
    const senders = this.#open.get(piece) ?? []
    return [...new Set(senders.filter((host) => host !== undefined))]
  }

  /**
   * A piece of `blockCount` blocks came together and its hash was wrong: returns the hosts to ban, and suspects the
   * others. Blocks of unknown origin (read back after a restart) are allowed; then nobody is the single contributor.
   */
  failed(piece: number, blockCount: number, digestOf: BlockDigest): string[] {
    const senders = this.#open.get(piece) ?? []
    const hosts = this.contributors(piece)
    this.#open.delete(piece)
    const [only] = hosts
    if (only !== undefined && hosts.length === 1 && known(senders) === blockCount) {
      this.#suspects.delete(only)
      return [only]
    }
    const guilty = new Set<string>()
    const blocks = this.#blocksOf(piece)
    senders.forEach((host, block) => {
      const digest = host === undefined ? undefined : digestOf(block)
      if (host === undefined || digest === undefined) return
      const versions = blocks.get(block) ?? []
      blocks.set(block, versions)
      const earlier = versions.find((version) => version.host === host)
      if (earlier !== undefined) {
        if (!equalBytes(earlier.digest, digest)) guilty.add(host)
      } else if (versions.length < mostVersionsOfBlock && this.#room(piece)) {
        versions.push({ host, digest: digest.slice() })
        this.#versions++
      }
    })
    const prime = commonDissenter(blocks)
    if (prime === undefined) this.#primes.delete(piece)
    else this.#primes.set(piece, prime)
    for (const host of hosts) {
      let pieces = this.#suspects.get(host)
      if (pieces === undefined) {
        pieces = new Set()
        dropOldest(this.#suspects, mostHosts)
        this.#suspects.set(host, pieces)
      }
      pieces.add(piece)
    }
    for (const host of guilty) this.#suspects.delete(host)
    return [...guilty]
  }

  /**
   * A piece came together and its hash was right: returns the hosts whose earlier blocks differ, which are to be
   * banned. The others are no longer suspected for it, and a host that sent all of it is cleared altogether.
   */
  passed(piece: number, digestOf: BlockDigest): string[] {
    const [only, ...others] = this.contributors(piece)
    this.#open.delete(piece)
    if (only !== undefined && others.length === 0) this.#suspects.delete(only)
    const guilty = new Set<string>()
    for (const [block, versions] of this.#failed.get(piece) ?? []) {
      const digest = digestOf(block)
      if (digest === undefined) continue
      for (const version of versions) if (!equalBytes(version.digest, digest)) guilty.add(version.host)
    }
    this.#drop(piece)
    for (const host of guilty) this.#suspects.delete(host)
    return [...guilty]
  }

  /**
   * Whether all that is known points at this host: every block of a failed piece that two hosts sent differently was sent
   * by it. Hosts in league could bring that about, so it is not banned for it, but should not be relied on.
   */
  isPrimeSuspect(host: string): boolean {
    if (!this.isSuspect(host)) return false
    for (const prime of this.#primes.values()) if (prime === host) return true
    return false
  }

  /** Whether the host should fetch whole pieces alone (parole), because a piece failed that it took part in. */
  isSuspect(host: string): boolean {
    return this.#suspects.has(host)
  }

  #blocksOf(piece: number): Map<number, Version[]> {
    const blocks = this.#failed.get(piece) ?? new Map<number, Version[]>()
    // The piece that failed last is the youngest.
    this.#failed.delete(piece)
    this.#failed.set(piece, blocks)
    return blocks
  }

  /** Makes room for one more digest by dropping the oldest failed pieces but this one. */
  #room(piece: number): boolean {
    for (const oldest of this.#failed.keys()) {
      if (this.#versions < mostVersions || oldest === piece) break
      this.#drop(oldest)
    }
    return this.#versions < mostVersions
  }

  /** Drops a failed piece; without its digests no verdict can come, so nobody stays suspected for it. */
  #drop(piece: number): void {
    const blocks = this.#failed.get(piece)
    if (blocks === undefined) return
    for (const versions of blocks.values()) this.#versions -= versions.length
    this.#failed.delete(piece)
    this.#primes.delete(piece)
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
function commonDissenter(blocks: ReadonlyMap<number, readonly Version[]>): string | undefined {
  let common: Set<string> | undefined
  let contradictions = 0
  for (const [first, ...others] of blocks.values()) {
    if (first === undefined || others.every(({ digest }) => equalBytes(digest, first.digest))) continue
    contradictions++
    const sides = [first.host, ...others.map(({ host }) => host)]
    common = new Set(sides.filter((host) => common === undefined || common.has(host)))
  }
  const [only] = common ?? []
  return contradictions >= 2 && common?.size === 1 ? only : undefined
}

/** Makes room for one more entry by dropping the oldest. */
function dropOldest<K>(map: Map<K, unknown>, limit: number): void {
  const oldest = map.keys().next().value
  if (map.size >= limit && oldest !== undefined) map.delete(oldest)
}
