import { SuperSeeder } from '../picker/super-seeder.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { monotonicMs } from '../util/clock.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import type { Peer } from './peer.ts'

/** Pieces that come within this time are told together: a write to every peer for each costs more than it is worth. */
const gatherMs = 50
/** With more peers than this, news goes out with the next request to each, or after a while. */
const fewPeers = 20
const mostWaitMs = 200

/** Options of {@link Haves}. */
export interface HavesOptions {
  readonly pieceCount: number
  readonly table: PieceTable
  readonly peers: ReadonlyMap<number, Peer>
  /** Whether peers see few pieces at a time once everything is here (BEP 16). */
  readonly superSeeding: boolean
}

/** Tells peers of our pieces: of all of them, of pieces that come and go, or, super-seeding, of a few at a time. */
export class Haves {
  readonly #options: HavesOptions
  #superSeeding: boolean
  #superSeeder: SuperSeeder | undefined
  /** Peers that were told that we have nothing, and are shown pieces once it is known what they have. */
  readonly #newcomers = new LazySet<number>()
  /** Pieces that no peer was told of yet. */
  #news: number[] = []
  #timer: NodeJS.Timeout | undefined
  /** Sends the news that went out with no request. */
  #flushing: NodeJS.Timeout | undefined
  /** Lists of pieces that a peer will be told of though it has them itself; peers may have lists in common. */
  readonly #owed = new LazyMap<number, (readonly number[])[]>()

  constructor(options: HavesOptions) {
    this.#options = options
    this.#superSeeding = options.superSeeding
  }

  /** Whether peers that come are shown few pieces at a time; they are only while everything is here. */
  get superSeeding(): boolean {
    return this.#superSeeding
  }

  set superSeeding(superSeeding: boolean) {
    this.#superSeeding = superSeeding
    if (superSeeding) return
    const { table, peers } = this.#options
    for (const [id, pieces] of this.#superSeeder?.end() ?? []) {
      peers.get(id)?.wire.haveMany(pieces.filter((piece) => table.serves(piece)))
    }
    for (const id of this.#newcomers) peers.get(id)?.wire.haveMany(this.#served())
    this.#superSeeder = undefined
    this.#newcomers.clear()
  }

  /** Whether a newcomer would be shown few pieces at a time. */
  get hides(): boolean {
    const { table } = this.#options
    return this.#superSeeding && table.counts.complete && table.counts.unprovenCount === 0
  }

  /** Tells a new peer what we have; its wire has said nothing yet. */
  begin(peer: Peer): void {
    const { wire } = peer
    const { table } = this.#options
    if (this.hides) {
      wire.haveNone()
      this.#hideFrom(peer)
    } else if (table.counts.complete && table.counts.unprovenCount === 0) wire.haveAll()
    else if (table.counts.servesNothing) wire.haveNone()
    else wire.bitfield(table.servedBits())
  }

  /** Tells a peer that was told that we have nothing what has become known since. */
  catchUp(peer: Peer): void {
    if (this.hides) this.#hideFrom(peer)
    else peer.wire.haveMany(this.#served())
  }

  /** Tells peers that a piece is here: at once together with others, and those that have it within a second. */
  got(piece: number): void {
    // A peer that comes later is told of it in the beginning.
    if (this.#options.peers.size === 0) return
    this.#news.push(piece)
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => this.#tell(), gatherMs)
    this.#timer.unref()
  }

  /** Tells peers that a piece that they may have been told of is here no longer (BEP 54). */
  lost(piece: number): void {
    this.#tell()
    this.#tellOwed()
    for (const { haveExtension } of this.#options.peers.values()) haveExtension.dontHave(piece)
  }

  /** The peer has gone. */
  removePeer({ id }: Peer): void {
    this.#newcomers.delete(id)
    this.#owed.delete(id)
    this.#superSeeder?.removePeer(id, monotonicMs())
  }

  /** To be called once a second. */
  tick(now: number): void {
    this.#tellOwed()
    // A peer that has nothing need not say so.
    for (const id of this.#newcomers) this.#begin(id)
    this.#superSeeder?.tick(now)
  }

  /** Sends no more news. */
  close(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#flushing)
    this.#news = []
  }

  #tell(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const news = this.#news
    this.#news = []
    const peers = this.#options.peers
    const canWait = peers.size > fewPeers
    if (canWait && this.#flushing === undefined) {
      this.#flushing = setTimeout(() => this.#flush(), mostWaitMs)
      this.#flushing.unref()
    }
    for (const { id, wire } of peers.values()) {
      if (this.#superSeeder?.includes(id) === true || this.#newcomers.has(id)) continue
      const known = wire.peerSeeding ? news : news.filter((piece) => wire.peerPieces.get(piece))
      if (known.length < news.length)
        wire.haveMany(
          known.length === 0 ? news : news.filter((piece) => !wire.peerPieces.get(piece)),
          canWait
        )
      if (known.length === 0) continue
      // A super-seed waits for it, and others see how far we are.
      const owed = this.#owed.get(id)
      if (owed === undefined) this.#owed.set(id, [known])
      else owed.push(known)
    }
  }

  #flush(): void {
    this.#flushing = undefined
    for (const { wire } of this.#options.peers.values()) wire.flush()
  }

  #tellOwed(): void {
    for (const [id, lists] of this.#owed) {
      const wire = this.#options.peers.get(id)?.wire
      for (const pieces of lists) wire?.haveMany(pieces)
    }
    this.#owed.clear()
  }

  /** Shows a peer few pieces, as soon as it is known what it has. */
  #hideFrom({ id, wire }: Peer): void {
    this.#newcomers.add(id)
    wire.on('bitfield', () => this.#begin(id))
    wire.on('have', (piece) => this.#superSeeder?.have(id, piece, monotonicMs()))
  }

  #begin(id: number): void {
    const peer = this.#options.peers.get(id)
    if (peer === undefined) return
    const now = monotonicMs()
    if (!this.#newcomers.delete(id)) {
      this.#superSeeder?.bitfield(id, peer.wire.peerPieces.buffer, now)
      return
    }
    this.#superSeeder ??= new SuperSeeder({
      pieceCount: this.#options.pieceCount,
      offer: (to, piece) => this.#options.peers.get(to)?.wire.have(piece),
      random: Math.random
    })
    this.#superSeeder.addPeer(id, peer.wire.peerPieces.buffer, now)
  }

  #served(): number[] {
    const { table, pieceCount } = this.#options
    const served: number[] = []
    if (table.counts.storesNothing) return served
    for (let piece = 0; piece < pieceCount; piece++) if (table.serves(piece)) served.push(piece)
    return served
  }
}
