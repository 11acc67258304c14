import type { Range } from '../metainfo/layout.ts'
import type { CellCounts } from '../metainfo/piece-cells.ts'
import type { BlockSink } from '../pieces/block-sink.ts'
import type { BlockSource } from '../pieces/block-source.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import { blockState } from '../pieces/partial-piece.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { bitsOf } from '../util/bits.ts'
import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'
import { cancelBackground, cancelWhere, forgetRequests, releaseOwed } from './cancels.ts'
import { DownloadState } from './download-state.ts'
import { Filling } from './filling.ts'
import { Lateness } from './lateness.ts'
import { PeerState } from './peer-state.ts'
import { PieceChanges } from './piece-changes.ts'
import { PieceMemory } from './piece-memory.ts'
import { maxDepth, shallowMs } from './pipelines.ts'
import { setPieces } from './set-pieces.ts'
import type { Windows } from './windows.ts'

/** Rate that a new peer is believed to have, in bytes per millisecond. */
const guessBytesPerMs = 300
/** The pieces of a peer that has all or none. */
const noBits: Uint8Array = new Uint8Array(0)

/** What came of a block that a peer sent. */
export type BlockVerdict = 'wanted' | 'duplicate' | 'unrequested'

/**
 * Decides which block is asked of which peer. Events come in as methods with `now` in milliseconds, decisions go out
 * through the sink, and `wakeAt` says when `wake` must be called if nothing else happens. No timers, no I/O.
 */
export class Picker {
  readonly table: PieceTable
  readonly memory: PieceMemory
  readonly #state: DownloadState
  readonly #changes: PieceChanges
  readonly #filling: Filling
  readonly #lateness: Lateness
  /** Whether a stream would soon have waited when a window last changed. */
  #wasPressed = false

  /** A picker for a table in which every piece is missing and none is selected; `random` returns [0, 1). */
  constructor(table: PieceTable, sink: BlockSink, random: () => number) {
    this.table = table
    this.#state = new DownloadState(table, sink, random)
    this.#changes = new PieceChanges(this.#state)
    this.#filling = new Filling(this.#state)
    this.#lateness = new Lateness(this.#state)
    this.memory = new PieceMemory(this.#state, (now) => this.#filling.fillAll(now))
  }

  /** When `wake` wants to be called, on the clock of `now`; Infinity for not at all. */
  get wakeAt(): number {
    return this.#filling.wakeAt
  }

  /** How many wanted pieces are missing. */
  get missing(): number {
    return this.#state.missing
  }

  /** How many pieces, buckets and peers decisions have looked at, apart from the bitfields that peers came with. */
  get steps(): number {
    return this.#state.steps
  }

  /** How many connected peers have a piece. */
  availability(piece: PieceIndex): number {
    return this.#state.order.availability(piece)
  }

  /** How many pieces of each cell of a coarse map no connected peer has. */
  get lacking(): Pick<CellCounts, 'at'> {
    return this.#state.order.lacking
  }

  /** All peers. */
  *sources(): Iterable<BlockSource> {
    for (const { source } of this.#state.peers.values()) yield source
  }

  /** The windows of open streams, for display. */
  get windows(): Pick<Windows, 'get' | 'deadline'> {
    return this.#state.windows
  }

  /** The estimates for a peer, for display. */
  peer(id: PeerNumber): Readonly<PeerState> | undefined {
    return this.#state.peers.get(id)
  }

  // ---- pieces ----

  /** The priorities of these pieces have changed in the table. */
  reselected(pieces: readonly number[], now: number): void {
    if (this.#changes.reselected(pieces, now)) this.#filling.fillAll(now)
  }

  /** The pieces of a range are right, and `stored` says whether they were found in storage. */
  had(pieces: Range, now: number, stored = false): void {
    this.#changes.had(pieces, stored, now)
  }

  /** Pieces may be in storage: they are not fetched until `had` or `lost` says what came of the check. */
  unchecked(pieces: readonly number[], now: number): void {
    this.#changes.unchecked(pieces, now)
    this.#filling.fillAll(now)
  }

  /**
   * A piece came together and is bad: it is fetched anew, for readers each block from another peer than before, but for the
   * blocks that are `kept` of the bad copy.
   */
  failed(piece: PieceIndex, kept: readonly number[], now: number): void {
    this.#state.avoidSenders(piece)
    this.#changes.missing(piece, kept, now)
    this.#filling.fillAll(now)
  }

  /** A piece is not there after all; it is fetched anew. */
  lost(piece: PieceIndex, now: number): void {
    this.#changes.missing(piece, [], now)
    this.#filling.fillAll(now)
  }

  /** Blocks that came of a piece that is not whole are not to be believed, and are fetched again. */
  discard(piece: PieceIndex, blocks: Iterable<number>, now: number): void {
    const state = this.#state
    const partial = state.partials.get(piece)
    if (partial === undefined || partial.complete) return
    state.discard(partial, blocks)
    this.#filling.fillAll(now)
  }

  /** A block is there that no peer had to send now: whoever is asked for it is told not to. */
  salvaged(piece: PieceIndex, block: BlockIndex, now: number): void {
    const partial = this.#state.partials.get(piece)
    if (partial !== undefined) this.#state.salvage(partial, block, now)
  }

  /** Opens, moves or (with undefined) closes the window of a stream; `jumped` cancels what stands in its way. */
  window(id: number, window: ByteWindow | undefined, jumped: boolean, now: number): void {
    const state = this.#state
    this.#changes.moved(id, window, now)
    // Also when a reader has run through what was there: pipelines that nobody waited for are deep.
    const pressed = this.#filling.isPressed(now)
    if (jumped && this.#filling.isHungry(now)) cancelBackground(state, 0, now)
    else if (pressed && !this.#wasPressed) cancelBackground(state, shallowMs, now)
    this.#wasPressed = pressed
    state.offerMemory()
    state.readiness.unstarve()
    this.#filling.fillAll(now, undefined, true)
  }

  /** Stops requests, and cancels those that are outstanding, or allows them. */
  setActive(active: boolean, now: number): void {
    if (active === this.#filling.active) return
    this.#filling.active = active
    for (const peer of this.#state.peers.values()) {
      if (active) this.#state.readiness.feed(peer)
      else cancelWhere(this.#state, peer, () => true, now)
    }
    this.#filling.fillAll(now)
  }

  // ---- peers ----

  /** A peer without pieces; `latencyMs` is the round trip as far as it is known. */
  addPeer(source: BlockSource, latencyMs: number): void {
    const peer = new PeerState(source, noBits, latencyMs, guessBytesPerMs)
    this.#state.peers.set(peer.id, peer)
    this.#state.count(peer)
  }

  /** The peer is gone; what it owes is asked of others. */
  removePeer(id: PeerNumber, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer === undefined) return
    this.#state.removePeer(peer)
    this.#filling.forget(peer)
    releaseOwed(this.#state, peer)
    this.#filling.fillAll(now)
  }

  /** All pieces of the peer: a bitfield (spare bits zero), or `'all'` or `'none'`. The bytes are copied. */
  bitfield(id: PeerNumber, bits: Uint8Array | 'all' | 'none', now: number): void {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined || !setPieces(state, peer, bits)) return
    peer.nothingNewAt = -1
    state.readiness.peersChanged = true
    state.readiness.feed(peer)
    this.#filling.fill(peer, now)
  }

  /** The peer has one more piece. */
  have(id: PeerNumber, piece: PieceIndex, now: number): void {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined || peer.has(piece)) return
    if (peer.bits === noBits) peer.bits = bitsOf(state.layout.pieceCount)
    peer.gain(piece)
    state.countOne(peer, piece)
    if (!state.wants(piece)) return
    // A piece that others bring already is nothing to look for.
    if (state.order.has(piece)) {
      peer.mayFind(piece)
      state.readiness.feed(peer)
    } else if ((state.partials.get(piece)?.free ?? 0) > 0) state.readiness.feed(peer)
    this.#filling.fill(peer, now)
  }

  /** The peer has a piece no longer (BEP 54): what it was asked for of it is asked of others. */
  dontHave(id: PeerNumber, piece: PieceIndex, now: number): void {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined || !peer.has(piece)) return
    cancelWhere(state, peer, (asked) => asked === piece, now)
    const partial = state.partials.get(piece)
    if (partial?.soleOwner === id) state.releaseSole(peer)
    state.uncountOne(peer, piece, state.layout.pieceCount)
    state.readiness.peersChanged = true
    this.#filling.fillAll(now)
  }

  /** How many requests the peer queues (BEP 10 `reqq`). */
  setMaxRequests(id: PeerNumber, count: number): void {
    const peer = this.#state.peers.get(id)
    if (peer !== undefined && count > 0) peer.maxRequests = Math.max(1, Math.floor(count))
  }

  /** The peer chokes us; without the fast extension that ends all requests, with it each is answered by itself. */
  choked(id: PeerNumber, forgetsRequests: boolean, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer === undefined || peer.choked) return
    peer.choked = true
    this.#state.readiness.peersChanged = true
    const state = this.#state
    // Others take over what it had to itself, and what it was asked for; else a choke changes nothing for them.
    const free = state.outOfMemory || peer.suspect || (forgetsRequests && peer.outstanding.length > 0)
    state.releaseSole(peer)
    state.offerMemory()
    if (forgetsRequests) forgetRequests(state, peer, now)
    if (free) this.#filling.fillAll(now)
  }

  /** The peer lets us download. */
  unchoked(id: PeerNumber, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer === undefined || !peer.choked) return
    peer.choked = false
    this.#filling.retry(peer)
    this.#filling.fill(peer, now)
  }

  /** The peer serves this piece also while it chokes us (BEP 6). */
  allowedFast(id: PeerNumber, piece: PieceIndex, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer === undefined) return
    peer.allow(piece)
    this.#state.readiness.peersChanged = true
    this.#state.readiness.feed(peer)
    this.#filling.fill(peer, now)
  }

  /** The peer would like us to ask for this piece (BEP 6). */
  suggested(id: PeerNumber, piece: PieceIndex): void {
    const peer = this.#state.peers.get(id)
    if (peer !== undefined && peer.suggested.length < 16) peer.suggested.push(piece)
  }

  /**
   * From now on the peer may only fetch whole pieces alone (`suspect`), or is trusted again. Pieces that readers wait for come
   * from suspects too, but not from one that is `discredited`: its requests are cancelled.
   */
  suspect(id: PeerNumber, suspect: boolean, discredited: boolean, now: number): void {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined || (peer.suspect === suspect && peer.discredited === discredited)) return
    if (!suspect) state.releaseSole(peer)
    peer.suspect = suspect
    peer.discredited = discredited
    state.readiness.unstarve()
    if (discredited) cancelWhere(state, peer, (piece) => state.hasTrusted(piece), now)
  }

  // ---- blocks ----

  /** Whether the bytes of a block that a peer begins to send are of use. */
  expects(id: PeerNumber, piece: PieceIndex, block: BlockIndex): boolean {
    const state = this.#state.partials.get(piece)?.states[block]
    if (state === undefined || state === blockState.received) return false
    const peer = this.#state.peers.get(id)
    if (peer === undefined) return false
    if (peer.indexOf(piece, block) >= 0) return true
    return !peer.discredited && peer.wasCancelled(this.#state.key(piece, block))
  }

  /** A block has come whole; says whether it is of use. The caller then calls `refill`. */
  received(id: PeerNumber, piece: PieceIndex, block: BlockIndex, now: number): BlockVerdict {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined) return 'unrequested'
    const index = peer.indexOf(piece, block)
    const late = index < 0 && peer.answered(state.key(piece, block))
    if (index >= 0 || late) peer.delivered()
    if (index >= 0) {
      const { outstanding } = peer
      const askedBefore = peer.wasCancelled(state.key(piece, block))
      peer.link.arrived(outstanding.bytesAt(index), outstanding.sentAt(index), now, askedBefore)
      peer.take(index, true, now)
      peer.depth = Math.min(maxDepth, peer.depth + 1)
    } else peer.sentOther(now)
    const partial = state.partials.get(piece)
    if (index < 0 && !late) return 'unrequested'
    if (partial === undefined || partial.states[block] === blockState.received) return 'duplicate'
    // A block whose request was cancelled for bad data is not wanted from the same peer.
    if (late && peer.discredited) return 'duplicate'
    state.receive(id, partial, block, now)
    this.#filling.earn()
    return 'wanted'
  }

  /** Gives the peer its next requests; called once after the blocks of one read. */
  refill(id: PeerNumber, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer !== undefined) this.#filling.fill(peer, now)
  }

  /** The peer will not send a block that it was asked for (BEP 6). */
  rejected(id: PeerNumber, piece: PieceIndex, block: BlockIndex, now: number): void {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined) return
    // With the request for the same block that may have followed since, it has nothing to do.
    if (peer.answered(state.key(piece, block))) return
    const index = peer.indexOf(piece, block)
    if (index < 0) return
    peer.take(index, false, now)
    peer.disallow(piece)
    if (!peer.choked) {
      peer.depth = Math.max(1, peer.depth - 1)
      peer.refuse(piece, now)
      this.#filling.refused(peer)
    }
    const partial = state.partials.get(piece)
    if (partial?.soleOwner === id) partial.soleOwner = -1
    state.release(id, piece, block)
    state.dropIfEmpty(piece)
    this.#filling.fillAll(now, id)
  }

  /** Looks at what is late; to be called at `wakeAt`. */
  wake(now: number): void {
    this.#filling.wake(now)
    if (this.#lateness.isDue(now)) this.#lateness.look(now)
    this.#filling.fillIdle(now)
  }
}
