import { SuperSeeder } from '../picker/super-seeder.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { monotonicMs } from '../util/clock.ts'
import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import type { Peer } from './peer.ts'

/** Milliseconds for which haves are collected, because a write to every peer for every piece is expensive. */
const gatherMs = 50
/** With more peers than this, haves wait for the next message to a peer, at most `mostWaitMs`. */
const fewPeers = 20
const mostWaitMs = 200

/** Options of {@link Haves}. */
export interface HavesOptions {
  readonly pieceCount: number
  readonly table: PieceTable
  readonly peers: ReadonlyMap<number, Peer>
  /** Whether peers are shown only a few pieces at a time once the torrent is complete (BEP 16). */
  readonly superSeeding: boolean
}

/** Tells peers which pieces we have: a bitfield first, then haves and losses, or a few pieces at a time when super-seeding. */
export class Haves {
  readonly #options: HavesOptions
  #superSeeding: boolean
  #superSeeder: SuperSeeder | undefined
  /** Peers that were sent `have none`. The super-seeder shows them pieces once it knows what they have. */
  readonly #newcomers = new LazySet<number>()
  /** Pieces that were not announced to any peer yet. */
  #unannounced: number[] = []
  #timer: NodeJS.Timeout | undefined
  /** Flushes haves that no other message carried along. */
  #flushTimer: NodeJS.Timeout | undefined
  /** Haves to send later, by peer, for pieces that the peer has itself. Several peers may share one array. */
  readonly #owed = new LazyMap<number, (readonly number[])[]>()

  constructor(options: HavesOptions) {
    this.#options = options
    this.#superSeeding = options.superSeeding
  }

  /** Whether new peers are shown only a few pieces at a time; has an effect only while the torrent is complete. */
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

  /** Whether a new peer would be shown only a few pieces at a time. */
  get hides(): boolean {
    const { table } = this.#options
    return this.#superSeeding && table.counts.complete && table.counts.unprovenCount === 0
  }

  /** Announces our pieces to a new peer. Must be the first message after the handshake. */
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

  /** Announces our pieces to a peer that was sent `have none` before the storage was open. */
  catchUp(peer: Peer): void {
    if (this.hides) this.#hideFrom(peer)
    else peer.wire.haveMany(this.#served())
  }

  /** Announces a new piece: within 250 ms to peers that lack it, and within about a second to peers that have it. */
  got(piece: number): void {
    // A peer that connects later learns of it from `begin`.
    if (this.#options.peers.size === 0) return
    this.#unannounced.push(piece)
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => this.#announce(), gatherMs)
    this.#timer.unref()
  }

  /** Tells peers that we no longer have a piece (BEP 54). */
  lost(piece: number): void {
    this.#announce()
    this.#tellOwed()
    for (const { haveExtension } of this.#options.peers.values()) haveExtension.dontHave(piece)
  }

  /** Forgets a peer that disconnected. */
  removePeer({ id }: Peer): void {
    this.#newcomers.delete(id)
    this.#owed.delete(id)
    this.#superSeeder?.removePeer(id, monotonicMs())
  }

  /** Sends the delayed haves and runs the super-seeder. Call it once a second. */
  tick(now: number): void {
    this.#tellOwed()
    // A peer without pieces may never send a bitfield.
    for (const id of this.#newcomers) this.#addToSuperSeeder(id)
    this.#superSeeder?.tick(now)
  }

  /** Cancels pending haves and timers. */
  close(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#flushTimer)
    this.#unannounced = []
  }

  #announce(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const news = this.#unannounced
    this.#unannounced = []
    const peers = this.#options.peers
    const canWait = peers.size > fewPeers
    if (canWait && this.#flushTimer === undefined) {
      this.#flushTimer = setTimeout(() => this.#flush(), mostWaitMs)
      this.#flushTimer.unref()
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
      // The peer is told later although it has the piece: a super-seed waits for this have, and other peers track our progress.
      const owed = this.#owed.get(id)
      if (owed === undefined) this.#owed.set(id, [known])
      else owed.push(known)
    }
  }

  #flush(): void {
    this.#flushTimer = undefined
    for (const { wire } of this.#options.peers.values()) wire.flush()
  }

  #tellOwed(): void {
    for (const [id, lists] of this.#owed) {
      const wire = this.#options.peers.get(id)?.wire
      for (const pieces of lists) wire?.haveMany(pieces)
    }
    this.#owed.clear()
  }

  /** Starts to show a peer only a few pieces, once its own pieces are known. */
  #hideFrom({ id, wire }: Peer): void {
    this.#newcomers.add(id)
    wire.on('bitfield', () => this.#addToSuperSeeder(id))
    wire.on('have', (piece) => this.#superSeeder?.have(id, piece, monotonicMs()))
  }

  #addToSuperSeeder(id: number): void {
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
