import type { Layout } from '../metainfo/layout.ts'
import type { BlockSink } from '../pieces/block-sink.ts'
import { blockState, type PartialPiece } from '../pieces/partial-piece.ts'
import type { PieceBlocks } from '../pieces/piece-blocks.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import type { BlockIndex, PeerNumber, PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import { Interest } from './interest.ts'
import { OpenPieces } from './open-pieces.ts'
import type { PeerState } from './peer-state.ts'
import { RarityOrder } from './rarity-order.ts'
import { Readiness } from './readiness.ts'
import { Windows } from './windows.ts'

/** Adjacent pieces of equal rarity are fetched in sequence up to this many bytes, because they are then written together. */
const togetherBytes = 1 << 20
/** Minimum number of such groups, so that downloading peers have different pieces to exchange. */
const fewestGroups = 128
/** Maximum number of failed pieces whose senders are remembered: more than readers wait for at a time. */
const mostAvoided = 64

/**
 * Records which pieces are wanted and partial, and which blocks are requested from which peers. Makes no decisions.
 *
 * Invariant: a missing piece is partial, or it is in `order` if its priority is above 0 and no window contains it.
 */
export class DownloadState {
  readonly layout: Layout
  readonly table: PieceTable
  readonly sink: BlockSink
  readonly order: RarityOrder
  readonly windows: Windows
  readonly peers: LazyMap<number, PeerState> = new LazyMap()
  readonly partials: PieceBlocks
  readonly readiness: Readiness = new Readiness()
  readonly #interest: Interest
  /** The sender of each block of a failed piece. The retry prefers other senders, which shows whose version differs. */
  readonly avoided: LazyMap<number, readonly number[]> = new LazyMap()
  #steps = 0
  /** Whether memory ran short. No background piece is opened until some memory is released. */
  outOfMemory = false
  readonly open: OpenPieces = new OpenPieces()
  /** The requesters of each block that is requested from more than one peer. */
  readonly #shared = new LazyMap<number, number[]>()

  constructor(table: PieceTable, sink: BlockSink, random: () => number) {
    const { layout } = table
    this.layout = layout
    this.table = table
    this.partials = table.blocks
    this.sink = sink
    this.order = new RarityOrder(
      table,
      random,
      Math.max(1, Math.floor(Math.min(togetherBytes / layout.pieceLength, layout.pieceCount / fewestGroups)))
    )
    this.windows = new Windows(layout.pieceLength)
    this.#interest = new Interest(layout.pieceCount, (peer) => {
      if (peer.interested) this.readiness.feed(peer)
      this.readiness.peersChanged = true
      peer.source.interest(peer.interested)
    })
  }

  /** Whether a piece is missing and is selected or in a window. */
  wants(piece: PieceIndex): boolean {
    if (!this.table.isMissing(piece)) return false
    return this.table.priority(piece) > 0 || this.windows.has(piece)
  }

  /** Number of missing pieces that are wanted. */
  get missing(): number {
    return this.#interest.count
  }

  /** Number of pieces, buckets and peers that decisions have looked at so far: a measure of CPU cost. */
  get steps(): number {
    return this.#steps + this.open.steps + this.order.steps + this.#interest.steps
  }

  /** Adds to `steps`. */
  looked(count: number): void {
    this.#steps += count
  }

  /** Counts the pieces of a peer, once its bits are known. */
  count(peer: PeerState): void {
    this.order.addPeer(peer.seed ? 'all' : peer.bits)
    this.#interest.add(peer)
  }

  /** Reverts `count`. */
  uncount(peer: PeerState): void {
    this.#interest.remove(peer)
    this.order.removePeer(peer.seed ? 'all' : peer.bits)
  }

  /** Counts one more piece of a peer that is not a seed. */
  countOne(peer: PeerState, piece: PieceIndex): void {
    this.order.increment(piece)
    this.#interest.gained(peer, piece)
  }

  /** Counts one piece less of a peer, which has lost it (BEP 54). */
  uncountOne(peer: PeerState, piece: PieceIndex, pieceCount: number): void {
    if (peer.seed) {
      // From now on the peer is counted by its bits, even if it becomes complete again, so this cost occurs once.
      this.#steps += pieceCount
      this.uncount(peer)
      peer.lose(piece, pieceCount)
      this.count(peer)
      return
    }
    peer.lose(piece, pieceCount)
    this.order.decrement(piece)
    this.#interest.lost(peer, piece)
  }

  /** Removes a peer and its counts. Its outstanding requests are released by `releaseOwed`. */
  removePeer(peer: PeerState): void {
    this.peers.delete(peer.id)
    this.readiness.removePeer(peer)
    this.uncount(peer)
    // A caller that still holds the object must not send requests to it.
    peer.interested = false
  }

  /** Updates interest and the order of missing pieces after a change in whether `pieces` are wanted. */
  rewant(pieces: readonly number[]): void {
    const became: number[] = []
    const ceased: number[] = []
    for (const piece of pieces) {
      const is = this.wants(piece)
      if (is !== this.#interest.isWanted(piece)) (is ? became : ceased).push(piece)
    }
    this.#interest.change(became, ceased)
    if (became.length > 0) this.readiness.unstarve()
    for (const piece of pieces) this.file(piece)
  }

  /** Updates interest, order and windows after the table marked the pieces `[start, end)` as verified or stored. */
  gained(start: number, end: number): void {
    const { order, windows } = this
    let ceased: number[] | undefined
    if (this.missing > 0) {
      for (let piece = start; piece < end; piece++) {
        if (!this.#interest.isWanted(piece)) continue
        if (ceased === undefined) ceased = [piece]
        else ceased.push(piece)
      }
    }
    if (order.size > 0) for (let piece = start; piece < end; piece++) order.remove(piece)
    if (windows.size > 0) for (let piece = start; piece < end; piece++) windows.changed(piece)
    if (ceased !== undefined) this.#interest.change([], ceased)
  }

  /** Adds a piece to the order of missing pieces, or removes it. Pieces in windows are not in the order. */
  file(piece: PieceIndex): void {
    const { table } = this
    const waits = table.isMissing(piece) && !this.partials.has(piece) && !this.windows.has(piece)
    if (waits && table.priority(piece) > 0) this.order.add(piece)
    else this.order.remove(piece)
  }

  /** Opens a partial piece. Returns undefined if the piece is not missing or there is no memory for it. */
  begin(piece: PieceIndex, urgent: boolean): PartialPiece | undefined {
    if (!this.table.isMissing(piece)) return undefined
    const blocks = this.sink.reserve(piece, urgent)
    if (blocks === 0) {
      this.outOfMemory = true
      return undefined
    }
    const partial = this.partials.begin(piece)
    partial.allow(blocks)
    this.order.remove(piece)
    if (partial.free > 0) this.open.add(partial)
    return partial
  }

  /** Whether memory allows one more request for a partial piece; reserves more if needed. */
  mayAsk(partial: PartialPiece, urgent: boolean): boolean {
    if (partial.allowance > 0) return true
    if (this.outOfMemory && !urgent) return false
    const more = this.sink.extend(partial.piece, urgent)
    partial.allowance += more
    if (more === 0) this.outOfMemory = true
    return partial.allowance > 0
  }

  /** Closes a partial piece that was verified, has failed, or has no blocks and no requests. */
  close(piece: PieceIndex): void {
    const partial = this.partials.get(piece)
    if (partial === undefined) return
    this.open.delete(partial)
    this.partials.end(piece)
  }

  /** Requests a block from a peer. A block that is already requested from another peer becomes shared. */
  request(peer: PeerState, partial: PartialPiece, block: BlockIndex, now: number): void {
    const { piece } = partial
    // A snubbed peer that delivers again may still owe this block: then it is in transit and is not requested twice.
    if (peer.owing && partial.states[block] === blockState.free && peer.indexOf(piece, block) >= 0) {
      partial.request(block, peer.id)
      return
    }
    if (partial.states[block] === blockState.requested) {
      const key = this.key(piece, block)
      const others = this.#shared.get(key)
      if (others === undefined) this.#shared.set(key, [partial.by[block] ?? -1, peer.id])
      else others.push(peer.id)
    }
    partial.request(block, peer.id)
    if (peer.outstanding.length === 0) this.readiness.busy.add(peer)
    peer.push(piece, block, this.layout.blockSize(piece, block), now)
    peer.source.request(piece, block)
  }

  /** Returns the number of peers that a block is requested from. */
  requesters(partial: PartialPiece, block: BlockIndex): number {
    if (partial.states[block] !== blockState.requested) return 0
    return this.#shared.get(this.key(partial.piece, block))?.length ?? 1
  }

  /** Whether a block is requested from more than one peer. */
  isShared(piece: PieceIndex, block: BlockIndex): boolean {
    return this.#shared.has(this.key(piece, block))
  }

  /** Ends a peer's request for a block that did not arrive. The block is free again if it is requested from no other peer. */
  release(peer: PeerNumber, piece: PieceIndex, block: BlockIndex): void {
    const partial = this.partials.get(piece)
    if (partial === undefined || partial.states[block] !== blockState.requested) return
    const key = this.key(piece, block)
    const others = this.#shared.get(key)
    if (others !== undefined) {
      const at = others.indexOf(peer)
      if (at < 0) return
      others.splice(at, 1)
      partial.by[block] = others.at(-1) ?? -1
      if (others.length < 2) this.#shared.delete(key)
      return
    }
    if (partial.by[block] !== peer) return
    partial.release(block)
    this.#reopen(partial)
  }

  /** Cancels the request at `index` of the peer's queue. */
  cancel(peer: PeerState, index: number, now: number): void {
    const request = peer.outstanding.at(index)
    if (request === undefined) return
    peer.take(index, false, now)
    peer.remember(this.key(request.piece, request.block))
    this.readiness.ready.add(peer)
    this.release(peer.id, request.piece, request.block)
    peer.source.cancel(request.piece, request.block)
  }

  /** Records a block from a peer, and cancels the requests for it at other peers. */
  receive(peer: PeerNumber, partial: PartialPiece, block: BlockIndex, now: number): void {
    const key = this.key(partial.piece, block)
    const asked = this.#shared.get(key) ?? [partial.by[block] ?? -1]
    this.#shared.delete(key)
    partial.receive(block, peer)
    for (const id of asked) {
      const loser = id === peer ? undefined : this.peers.get(id)
      const at = loser?.indexOf(partial.piece, block) ?? -1
      if (loser === undefined || at < 0) continue
      loser.take(at, false, now)
      loser.rescued++
      loser.remember(key)
      this.readiness.ready.add(loser)
      loser.source.cancel(partial.piece, block)
    }
  }

  /** Marks a block as received without a sender (it came from a bad copy), and cancels all requests for it. */
  salvage(partial: PartialPiece, block: BlockIndex, now: number): void {
    const { piece } = partial
    for (const id of [...(this.#shared.get(this.key(piece, block)) ?? [partial.by[block] ?? -1])]) {
      const peer = this.peers.get(id)
      const at = peer?.indexOf(piece, block) ?? -1
      if (peer !== undefined && at >= 0) this.cancel(peer, at, now)
    }
    partial.receive(block, -2)
  }

  /** Marks received blocks of a partial piece as missing, so that they are fetched again. */
  discard(partial: PartialPiece, blocks: Iterable<number>): void {
    for (const block of blocks) partial.discard(block)
    if (partial.free > 0) this.#reopen(partial)
    this.dropIfEmpty(partial.piece)
  }

  /** Closes a partial piece that has no blocks and no requests. */
  dropIfEmpty(piece: PieceIndex): void {
    const partial = this.partials.get(piece)
    if (partial === undefined || partial.free !== partial.blockCount) return
    this.close(piece)
    this.file(piece)
    this.sink.abandon(piece)
  }

  /** Returns a number that identifies a block within the torrent. */
  key(piece: PieceIndex, block: BlockIndex): number {
    return piece * this.layout.blocksPerPiece + block
  }

  /** Whether some peer that is neither suspect nor snubbed would send blocks of a piece. */
  hasTrusted(piece: PieceIndex): boolean {
    for (const peer of this.peers.values()) {
      if (!peer.suspect && !peer.snubbed && peer.serves(piece)) return true
    }
    return false
  }

  /** Lets all peers fetch the pieces that only `peer` was fetching. */
  releaseSole(peer: PeerState): void {
    // Other peers never fetch pieces alone, so their chokes must not cost a look at all pieces.
    if (!peer.suspect && !peer.discredited) return
    for (const partial of this.partials.values()) {
      if (partial.soleOwner !== peer.id) continue
      partial.soleOwner = -1
      this.#reopen(partial)
    }
  }

  /** Tells the sink that some memory may be reclaimable now, for this torrent or for others. */
  offerMemory(): void {
    if (this.partials.size > 0) this.sink.reclaimable()
    if (this.outOfMemory) this.regainMemory()
  }

  /** Allows background pieces to be opened again, and lets peers that found nothing to request search again. */
  regainMemory(): void {
    this.outOfMemory = false
    this.readiness.unstarve()
  }

  /** Remembers the senders of a failed piece, so that each block is requested from another peer. */
  avoidSenders(piece: PieceIndex): void {
    const partial = this.partials.get(piece)
    const [oldest] = this.avoided.keys()
    if (this.avoided.size >= mostAvoided && oldest !== undefined) this.avoided.delete(oldest)
    if (partial !== undefined) this.avoided.set(piece, partial.by.slice())
  }

  #reopen(partial: PartialPiece): void {
    this.open.add(partial)
    if (partial.idle) this.rest(partial)
    this.readiness.unstarve()
  }

  /** Releases the unused memory of a piece without outstanding requests, and offers more to be reclaimed. */
  rest(partial: PartialPiece): void {
    if (partial.streamed && partial.allowance > 0) {
      this.sink.giveBack(partial.piece, partial.allowance)
      partial.allowance = 0
    }
    this.offerMemory()
  }
}
