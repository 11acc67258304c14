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
import { PeerState } from './peer-state.ts'
import { PieceChanges } from './piece-changes.ts'
import { PieceMemory } from './piece-memory.ts'
import { maxDepth, shallowMs } from './queue-depths.ts'
import { QueueFiller } from './queue-filler.ts'
import { setPieces } from './set-pieces.ts'
import { SnubDetector } from './snub-detector.ts'
import type { Windows } from './windows.ts'

/** Assumed rate of a new peer, in bytes per millisecond. */
const guessBytesPerMs = 300
/** Bits of a peer that has all pieces or none. */
const noBits: Uint8Array = new Uint8Array(0)

/** How the picker classifies a received block. */
export type BlockVerdict = 'wanted' | 'duplicate' | 'unrequested'

/**
 * Decides which block is requested from which peer. Events are method calls with `now` in milliseconds; requests and cancels
 * go to the peers' {@link BlockSource}, memory comes from the {@link BlockSink}, and `wakeAt` says when `wake` must be called if
 * nothing else happens. No timers, no I/O.
 */
export class Picker {
  readonly table: PieceTable
  readonly memory: PieceMemory
  readonly #state: DownloadState
  readonly #changes: PieceChanges
  readonly #filler: QueueFiller
  readonly #snubs: SnubDetector
  /** Whether a stream was about to wait when a window last changed. */
  #wasPressed = false

  /** Creates a picker for a table in which every piece is missing and none is selected. `random` returns [0, 1). */
  constructor(table: PieceTable, sink: BlockSink, random: () => number) {
    this.table = table
    this.#state = new DownloadState(table, sink, random)
    this.#changes = new PieceChanges(this.#state)
    this.#filler = new QueueFiller(this.#state)
    this.#snubs = new SnubDetector(this.#state)
    this.memory = new PieceMemory(this.#state, (now) => this.#filler.fillAll(now))
  }

  /** When to call `wake`, in milliseconds on the clock of `now`; `Infinity` if it need not be called. */
  get wakeAt(): number {
    return this.#filler.wakeAt
  }

  /** Number of wanted pieces that are missing. */
  get missing(): number {
    return this.#state.missing
  }

  /** Number of pieces, buckets and peers that decisions have looked at so far. */
  get steps(): number {
    return this.#state.steps
  }

  /** Returns the number of connected peers that have a piece. */
  availability(piece: PieceIndex): number {
    return this.#state.order.availability(piece)
  }

  /** For each cell of a coarse map, the number of pieces that no connected peer has. */
  get lacking(): Pick<CellCounts, 'at'> {
    return this.#state.order.lacking
  }

  /** Yields the source of each peer. */
  *sources(): Iterable<BlockSource> {
    for (const { source } of this.#state.peers.values()) yield source
  }

  /** The windows of open streams, for display. */
  get windows(): Pick<Windows, 'get' | 'deadline'> {
    return this.#state.windows
  }

  /** Returns the state of a peer, for display. */
  peer(id: PeerNumber): Readonly<PeerState> | undefined {
    return this.#state.peers.get(id)
  }

  // ---- pieces ----

  /** Handles a change of these pieces' priorities in the table. */
  reselected(pieces: readonly number[], now: number): void {
    if (this.#changes.reselected(pieces, now)) this.#filler.fillAll(now)
  }

  /** Marks a range of pieces as verified. `stored` says whether they were found in storage. */
  markVerified(pieces: Range, now: number, stored = false): void {
    this.#changes.markVerified(pieces, stored, now)
  }

  /** Marks pieces as unchecked: they may be in storage and are not fetched until `markVerified` or `lost` reports the result. */
  unchecked(pieces: readonly number[], now: number): void {
    this.#changes.unchecked(pieces, now)
    this.#filler.fillAll(now)
  }

  /**
   * Refetches a piece that failed its hash check, except for the blocks of the bad copy that are `kept`. Blocks that readers
   * wait for are requested from other peers than before.
   */
  failed(piece: PieceIndex, kept: readonly number[], now: number): void {
    this.#state.avoidSenders(piece)
    this.#changes.missing(piece, kept, now)
    this.#filler.fillAll(now)
  }

  /** Marks a piece as missing after all, and refetches it. */
  lost(piece: PieceIndex, now: number): void {
    this.#changes.missing(piece, [], now)
    this.#filler.fillAll(now)
  }

  /** Refetches blocks of an incomplete piece that came from a peer which sent bad data. */
  discard(piece: PieceIndex, blocks: Iterable<number>, now: number): void {
    const state = this.#state
    const partial = state.partials.get(piece)
    if (partial === undefined || partial.complete) return
    state.discard(partial, blocks)
    this.#filler.fillAll(now)
  }

  /** Marks a block as received that was recovered from a bad copy, and cancels the requests for it. */
  salvaged(piece: PieceIndex, block: BlockIndex, now: number): void {
    const partial = this.#state.partials.get(piece)
    if (partial !== undefined) this.#state.salvage(partial, block, now)
  }

  /** Opens, moves or (with undefined) closes the window of a stream. With `jumped`, cancels background requests that would delay it. */
  setWindow(id: number, window: ByteWindow | undefined, jumped: boolean, now: number): void {
    const state = this.#state
    this.#changes.setWindow(id, window, now)
    // A stream can also become pressed without a jump, when verified pieces run out. The request queues are deep until then.
    const pressed = this.#filler.isPressed(now)
    if (jumped && this.#filler.isHungry(now)) cancelBackground(state, 0, now)
    else if (pressed && !this.#wasPressed) cancelBackground(state, shallowMs, now)
    this.#wasPressed = pressed
    state.offerMemory()
    state.readiness.unstarve()
    this.#filler.fillAll(now, undefined, true)
  }

  /** Pauses or resumes requests. A pause cancels those that are outstanding. */
  setActive(active: boolean, now: number): void {
    if (active === this.#filler.active) return
    this.#filler.active = active
    for (const peer of this.#state.peers.values()) {
      if (active) this.#state.readiness.feed(peer)
      else cancelWhere(this.#state, peer, () => true, now)
    }
    this.#filler.fillAll(now)
  }

  // ---- peers ----

  /** Adds a peer without pieces. `latencyMs` is the measured or assumed round trip. */
  addPeer(source: BlockSource, latencyMs: number): void {
    const peer = new PeerState(source, noBits, latencyMs, guessBytesPerMs)
    this.#state.peers.set(peer.id, peer)
    this.#state.count(peer)
  }

  /** Removes a peer. Its outstanding blocks are requested from other peers. */
  removePeer(id: PeerNumber, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer === undefined) return
    this.#state.removePeer(peer)
    this.#filler.forget(peer)
    releaseOwed(this.#state, peer)
    this.#filler.fillAll(now)
  }

  /** Sets all pieces of the peer: a bitfield (spare bits zero, copied), `'all'` or `'none'`. */
  bitfield(id: PeerNumber, bits: Uint8Array | 'all' | 'none', now: number): void {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined || !setPieces(state, peer, bits)) return
    peer.nothingNewAt = -1
    state.readiness.peersChanged = true
    state.readiness.feed(peer)
    this.#filler.fill(peer, now)
  }

  /** Adds a piece of the peer. */
  have(id: PeerNumber, piece: PieceIndex, now: number): void {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined || peer.has(piece)) return
    if (peer.bits === noBits) peer.bits = bitsOf(state.layout.pieceCount)
    peer.gain(piece)
    state.countOne(peer, piece)
    if (!state.wants(piece)) return
    // A piece without free blocks is no new work for the peer.
    if (state.order.has(piece)) {
      peer.mayFind(piece)
      state.readiness.feed(peer)
    } else if ((state.partials.get(piece)?.free ?? 0) > 0) state.readiness.feed(peer)
    this.#filler.fill(peer, now)
  }

  /** Removes a piece of the peer (BEP 54). Its requests for that piece are cancelled. */
  dontHave(id: PeerNumber, piece: PieceIndex, now: number): void {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined || !peer.has(piece)) return
    cancelWhere(state, peer, (asked) => asked === piece, now)
    const partial = state.partials.get(piece)
    if (partial?.soleOwner === id) state.releaseSole(peer)
    state.uncountOne(peer, piece, state.layout.pieceCount)
    state.readiness.peersChanged = true
    this.#filler.fillAll(now)
  }

  /** Sets the maximum number of requests that the peer queues (BEP 10 `reqq`). Ignores values that are not positive. */
  setMaxRequests(id: PeerNumber, count: number): void {
    const peer = this.#state.peers.get(id)
    if (peer !== undefined && count > 0) peer.maxRequests = Math.max(1, Math.floor(count))
  }

  /** Handles a choke. With `forgetsRequests` (no fast extension) the peer drops all requests, otherwise it rejects each. */
  choked(id: PeerNumber, forgetsRequests: boolean, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer === undefined || peer.choked) return
    peer.choked = true
    this.#state.readiness.peersChanged = true
    const state = this.#state
    // Other peers take over what this one was asked for or fetched alone. Without either, a choke changes nothing for them.
    const freesWork = state.outOfMemory || peer.suspect || (forgetsRequests && peer.outstanding.length > 0)
    state.releaseSole(peer)
    state.offerMemory()
    if (forgetsRequests) forgetRequests(state, peer, now)
    if (freesWork) this.#filler.fillAll(now)
  }

  /** Handles an unchoke. Refused pieces may be requested again. */
  unchoked(id: PeerNumber, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer === undefined || !peer.choked) return
    peer.choked = false
    this.#filler.retry(peer)
    this.#filler.fill(peer, now)
  }

  /** Adds a piece to the peer's allowed fast set (BEP 6). */
  allowedFast(id: PeerNumber, piece: PieceIndex, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer === undefined) return
    peer.allow(piece)
    this.#state.readiness.peersChanged = true
    this.#state.readiness.feed(peer)
    this.#filler.fill(peer, now)
  }

  /** Records a piece that the peer suggests (BEP 6); at most 16 are kept. */
  suggested(id: PeerNumber, piece: PieceIndex): void {
    const peer = this.#state.peers.get(id)
    if (peer !== undefined && peer.suggested.length < 16) peer.suggested.push(piece)
  }

  /**
   * Sets whether the peer is `suspect`, so that it may only fetch whole pieces alone. Blocks that readers wait for are still requested
   * from a suspect, but not from a peer that is `discredited`: its requests are cancelled if a trusted peer serves the piece.
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

  /** Whether the bytes of a block that a peer begins to send are needed. */
  expects(id: PeerNumber, piece: PieceIndex, block: BlockIndex): boolean {
    const state = this.#state.partials.get(piece)?.states[block]
    if (state === undefined || state === blockState.received) return false
    const peer = this.#state.peers.get(id)
    if (peer === undefined) return false
    if (peer.indexOf(piece, block) >= 0) return true
    return !peer.discredited && peer.wasCancelled(this.#state.key(piece, block))
  }

  /** Records a complete block and classifies it. The caller then calls `refill`. */
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
    // A block whose request was cancelled because of bad data is not accepted from the same peer.
    if (late && peer.discredited) return 'duplicate'
    state.receive(id, partial, block, now)
    this.#filler.earn()
    return 'wanted'
  }

  /** Sends the peer its next requests. Called once after all blocks of one socket read. */
  refill(id: PeerNumber, now: number): void {
    const peer = this.#state.peers.get(id)
    if (peer !== undefined) this.#filler.fill(peer, now)
  }

  /** Handles a reject of a requested block (BEP 6). */
  rejected(id: PeerNumber, piece: PieceIndex, block: BlockIndex, now: number): void {
    const state = this.#state
    const peer = state.peers.get(id)
    if (peer === undefined) return
    // The reject answers a cancelled request, not a later request for the same block.
    if (peer.answered(state.key(piece, block))) return
    const index = peer.indexOf(piece, block)
    if (index < 0) return
    peer.take(index, false, now)
    peer.disallow(piece)
    if (!peer.choked) {
      peer.depth = Math.max(1, peer.depth - 1)
      peer.refuse(piece, now)
      this.#filler.refused(peer)
    }
    const partial = state.partials.get(piece)
    if (partial?.soleOwner === id) partial.soleOwner = -1
    state.release(id, piece, block)
    state.dropIfEmpty(piece)
    this.#filler.fillAll(now, id)
  }

  /** Checks for late blocks and retries. Called at `wakeAt`. */
  wake(now: number): void {
    this.#filler.wake(now)
    if (this.#snubs.isDue(now)) this.#snubs.check(now)
    this.#filler.fillIdle(now)
  }
}
