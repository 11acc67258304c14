import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'
import type { Picker } from './picker.ts'
import { type BlockDigest, SmartBan } from './smart-ban.ts'

const nobody: ReadonlySet<string> = new Set()

/** The bytes that a {@link Recovery} disposes of. */
export interface PieceCopies {
  /** Forgets the bytes of blocks of a piece that is not whole yet, and returns those that were there. */
  discard(piece: PieceIndex, blocks: readonly number[]): readonly number[]
  /**
   * Makes the next copy of a piece that has just failed begin with these blocks of the bad one. Returns them, or nothing if
   * there is no memory of it.
   */
  keep(piece: PieceIndex, blocks: readonly number[]): readonly number[]
  /** Copies these blocks of the last bad copy of a piece into the one under way where they are missing, and calls `accept` before each. */
  salvage(piece: PieceIndex, blocks: readonly number[], accept: (block: BlockIndex) => void): void
}

/**
 * Gets over bad pieces fast. When a piece fails its blocks are fetched again, each from another peer, and compared with those of the
 * bad copy as they come. As soon as that points at one host, its blocks are dropped everywhere, the others are taken over
 * from the bad copy, and only what that host had sent is still to be fetched.
 */
export class Recovery {
  readonly #picker: Picker
  readonly #copies: PieceCopies
  readonly #ban: (host: string) => void
  readonly #smartBan = new SmartBan()
  /** Whether some connected peer is under suspicion. */
  #suspicion = false
  /** The hosts of connected peers that nothing is believed of. */
  #discredited: ReadonlySet<string> = nobody

  /** Calls `ban` for a host that sent bad data, from which nothing more is to be taken. */
  constructor(picker: Picker, copies: PieceCopies, ban: (host: string) => void) {
    this.#picker = picker
    this.#copies = copies
    this.#ban = ban
  }

  /** A peer has come. */
  joined(id: PeerNumber, host: string, now: number): void {
    if (this.#smartBan.isSuspect(host))
      this.#picker.suspect(id, true, this.#smartBan.isDiscredited(host), now)
  }

  /** A block of use is about to be counted. */
  contributed(piece: PieceIndex, block: BlockIndex, host: string): void {
    this.#smartBan.contributed(piece, block, host)
  }

  /** The block that was counted is in memory; its digest is asked for only where it matters. */
  arrived(piece: PieceIndex, block: BlockIndex, host: string, digest: () => Uint8Array, now: number): void {
    if (!this.#smartBan.isContested(piece)) return
    const { changes } = this.#smartBan
    const guilty = this.#smartBan.compare(piece, block, host, digest())
    // Most blocks are as they were, and say nothing of anybody.
    if (this.#smartBan.changes !== changes) this.#review(guilty === undefined ? [] : [guilty], now)
  }

  /** Whether a piece has failed and not passed since. */
  isContested(piece: PieceIndex): boolean {
    return this.#smartBan.isContested(piece)
  }

  /** The blocks of a piece are given up without a verdict. */
  forget(piece: PieceIndex): void {
    this.#smartBan.forget(piece)
  }

  /** A piece is right. */
  passed(piece: PieceIndex, digestOf: BlockDigest, now: number): void {
    const guilty = this.#smartBan.passed(piece, digestOf)
    if (this.#suspicion || guilty.length > 0) this.#review(guilty, now)
  }

  /** A piece of `blockCount` blocks is whole and wrong; it is fetched again. */
  failed(piece: PieceIndex, blockCount: number, digestOf: BlockDigest, now: number): void {
    const guilty = this.#smartBan.failed(piece, blockCount, digestOf)
    const believable = this.#smartBan.believable(piece)
    const kept = believable.size === 0 ? [] : this.#copies.keep(piece, [...believable.keys()])
    for (const block of kept) this.#smartBan.contributed(piece, block, believable.get(block) ?? '')
    this.#review(guilty, now)
    this.#picker.failed(piece, kept, now)
  }

  /** Tells the picker whom to trust, acts on what has become known of hosts, and bans the guilty. */
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

  /** Drops all that a host sent of pieces that are not whole. */
  #expose(host: string, now: number): void {
    for (const [piece, sent] of this.#smartBan.sentBy(host)) {
      const blocks = this.#copies.discard(piece, sent)
      this.#smartBan.discarded(piece, blocks)
      this.#picker.discard(piece, blocks, now)
    }
  }

  /** Takes over what is believable of the last bad copy of a piece. */
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
