import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'
import type { Picker } from './picker.ts'
import { type BlockDigest, SmartBan } from './smart-ban.ts'

const nobody: ReadonlySet<string> = new Set()

/** Access to the received bytes of pieces, for a {@link Recovery}. */
export interface PieceCopies {
  /** Drops the bytes of blocks of an incomplete piece. Returns the blocks that were held. */
  discard(piece: PieceIndex, blocks: readonly number[]): readonly number[]
  /**
   * Starts a new copy of a piece that has just failed, from these blocks of the bad copy. Returns those blocks, or none if the
   * bad copy is no longer in memory.
   */
  keep(piece: PieceIndex, blocks: readonly number[]): readonly number[]
  /** Copies blocks of the last bad copy of a piece into its current copy where they are missing, and calls `accept` before each. */
  salvage(piece: PieceIndex, blocks: readonly number[], accept: (block: BlockIndex) => void): void
}

/**
 * Recovers from failed pieces quickly. The blocks of a failed piece are fetched again, each from another peer, and compared
 * with the bad copy as they arrive. Once the differences point at one host, its blocks are dropped everywhere, the others
 * are reused from the bad copy, and only the blocks of that host are still fetched.
 */
export class Recovery {
  readonly #picker: Picker
  readonly #copies: PieceCopies
  readonly #ban: (host: string) => void
  readonly #smartBan = new SmartBan()
  /** Whether some connected peer is a suspect. */
  #suspicion = false
  /** Hosts of connected peers that are discredited: nothing they sent is relied on. */
  #discredited: ReadonlySet<string> = nobody

  /** Creates a recovery. Calls `ban` for each host that sent bad data; the caller must accept no more from it. */
  constructor(picker: Picker, copies: PieceCopies, ban: (host: string) => void) {
    this.#picker = picker
    this.#copies = copies
    this.#ban = ban
  }

  /** Handles a new peer: restricts it if its host is a suspect. */
  joined(id: PeerNumber, host: string, now: number): void {
    if (this.#smartBan.isSuspect(host))
      this.#picker.suspect(id, true, this.#smartBan.isDiscredited(host), now)
  }

  /** Records the sender of a wanted block, before the block is counted. */
  contributed(piece: PieceIndex, block: BlockIndex, host: string): void {
    this.#smartBan.contributed(piece, block, host)
  }

  /** Compares a block that is now in memory with earlier versions. `digest` is called only for contested pieces. */
  arrived(piece: PieceIndex, block: BlockIndex, host: string, digest: () => Uint8Array, now: number): void {
    if (!this.#smartBan.isContested(piece)) return
    const { changes } = this.#smartBan
    const guilty = this.#smartBan.compare(piece, block, host, digest())
    // Most blocks equal their earlier version, which proves nothing.
    if (this.#smartBan.changes !== changes) this.#review(guilty === undefined ? [] : [guilty], now)
  }

  /** Whether a piece has failed and not passed since. */
  isContested(piece: PieceIndex): boolean {
    return this.#smartBan.isContested(piece)
  }

  /** Forgets the senders of a piece that is dropped without a verdict. */
  forget(piece: PieceIndex): void {
    this.#smartBan.forget(piece)
  }

  /** Handles a piece that passed its hash check. */
  passed(piece: PieceIndex, digestOf: BlockDigest, now: number): void {
    const guilty = this.#smartBan.passed(piece, digestOf)
    if (this.#suspicion || guilty.length > 0) this.#review(guilty, now)
  }

  /** Handles a complete piece of `blockCount` blocks that failed its hash check, and refetches it. */
  failed(piece: PieceIndex, blockCount: number, digestOf: BlockDigest, now: number): void {
    const guilty = this.#smartBan.failed(piece, blockCount, digestOf)
    const believable = this.#smartBan.believable(piece)
    const kept = believable.size === 0 ? [] : this.#copies.keep(piece, [...believable.keys()])
    for (const block of kept) this.#smartBan.contributed(piece, block, believable.get(block) ?? '')
    this.#review(guilty, now)
    this.#picker.failed(piece, kept, now)
  }

  /** Updates the trust in each peer, reacts to newly discredited hosts, and bans the guilty. */
  #review(guilty: readonly string[], now: number): void {
    const smartBan = this.#smartBan
    this.#suspicion = false
    const discredited = new Set<string>(guilty)
    for (const { id, banKey } of this.#picker.sources()) {
      const suspect = smartBan.isSuspect(banKey)
      const isDiscredited = smartBan.isDiscredited(banKey)
      this.#picker.suspect(id, suspect, isDiscredited, now)
      this.#suspicion ||= suspect
      if (isDiscredited) discredited.add(banKey)
    }
    const exposed = [...discredited].filter((host) => !this.#discredited.has(host))
    this.#discredited = discredited
    for (const host of exposed) this.#expose(host, now)
    if (exposed.length > 0) for (const piece of [...smartBan.contested]) this.#salvage(piece, now)
    for (const host of guilty) this.#ban(host)
  }

  /** Drops everything that a host sent of incomplete pieces. */
  #expose(host: string, now: number): void {
    for (const [piece, sent] of this.#smartBan.sentBy(host)) {
      const blocks = this.#copies.discard(piece, sent)
      this.#smartBan.discarded(piece, blocks)
      this.#picker.discard(piece, blocks, now)
    }
  }

  /** Reuses the believable blocks of the last bad copy of a piece. */
  #salvage(piece: PieceIndex, now: number): void {
    const believable = this.#smartBan.believable(piece)
    const partial = this.#picker.table.blocks.get(piece)
    if (believable.size === 0 || partial === undefined || partial.complete) return
    this.#copies.salvage(piece, [...believable.keys()], (block) => {
      this.#smartBan.contributed(piece, block, believable.get(block) ?? '')
      this.#picker.salvaged(piece, block, now)
    })
  }
}
