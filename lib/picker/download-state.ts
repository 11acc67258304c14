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

/** Neighbours of equal rarity are fetched one after the other up to so many bytes, because they are then written together. */
const togetherBytes = 1 << 20
/** So many groups of neighbours there are at least, so that those who download have different pieces to give. */
const fewestGroups = 128
/** Failed pieces whose senders are kept: more than readers wait for at a time, and a bound on what liars make us keep. */
const mostAvoided = 64

/**
 * Which pieces are wanted and under way, and who is asked for what. It keeps the books; the strategies decide.
 *
 * A missing piece is partial, or it stands in `order` if its selection priority is above 0 and no window holds it.
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
  /** Of pieces that failed, who sent each block: the next time another should, which shows whose version differs. */
  readonly avoided: LazyMap<number, readonly number[]> = new LazyMap()
  #steps = 0
  /** Whether memory ran short and no background piece is opened until some is given back. */
  outOfMemory = false
  readonly open: OpenPieces = new OpenPieces()
  /** Who else is asked for a block, where more than one peer is. */
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

  /** Whether a piece is not there and somebody wants it. */
  wants(piece: PieceIndex): boolean {
    if (!this.table.isMissing(piece)) return false
    return this.table.priority(piece) > 0 || this.windows.has(piece)
  }

  /** Missing pieces that are wanted. */
  get missing(): number {
    return this.#interest.count
  }

  /** How many pieces, buckets and peers decisions have looked at so far. */
  get steps(): number {
    return this.#steps + this.open.steps + this.order.steps + this.#interest.steps
  }

  /** Counts looks at pieces or peers. */
  looked(count: number): void {
    this.#steps += count
  }

  /** Counts what a peer has, once its bits are known. */
  count(peer: PeerState): void {
    this.order.addPeer(peer.seed ? 'all' : peer.bits)
    this.#interest.add(peer)
  }

  /** Takes back what `count` counted. */
  uncount(peer: PeerState): void {
    this.#interest.remove(peer)
    this.order.removePeer(peer.seed ? 'all' : peer.bits)
  }

  /** Counts one more piece of a peer that is no seed. */
  countOne(peer: PeerState, piece: PieceIndex): void {
    this.order.increment(piece)
    this.#interest.gained(peer, piece)
  }

  /** Counts one piece less of a peer, which has lost it (BEP 54). */
  uncountOne(peer: PeerState, piece: PieceIndex, pieceCount: number): void {
    if (peer.seed) {
      // From now on it is counted by its bits, whatever it gains again: so this is done once.
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

  /** Forgets a peer. */
  removePeer(peer: PeerState): void {
    this.peers.delete(peer.id)
    this.readiness.removePeer(peer)
    this.uncount(peer)
    // Whoever still holds it for a moment does not ask it for anything.
    peer.interested = false
  }

  /** Each of some pieces may be wanted since a change, or no longer: brings interest and the order of missing pieces up to date. */
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

  /** The pieces `[start, end)` are there, as the table says. */
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

  /** Puts a missing piece where the background search finds it, or takes it out: windows see to their own. */
  file(piece: PieceIndex): void {
    const { table } = this
    const waits = table.isMissing(piece) && !this.partials.has(piece) && !this.windows.has(piece)
    if (waits && table.priority(piece) > 0) this.order.add(piece)
    else this.order.remove(piece)
  }

  /** Begins a piece; undefined when there is no memory for it. */
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

  /** Whether one more block of a partial piece may be asked for as far as memory goes. */
  mayAsk(partial: PartialPiece, urgent: boolean): boolean {
    if (partial.allowance > 0) return true
    if (this.outOfMemory && !urgent) return false
    const more = this.sink.extend(partial.piece, urgent)
    partial.allowance += more
    if (more === 0) this.outOfMemory = true
    return partial.allowance > 0
  }

  /** Ends a piece: it was verified, failed, or nothing of it is under way. */
  close(piece: PieceIndex): void {
    const partial = this.partials.get(piece)
    if (partial === undefined) return
    this.open.delete(partial)
    this.partials.end(piece)
  }

  /** Asks a peer for a block of a partial piece; a block that another is asked for already becomes shared. */
  request(peer: PeerState, partial: PartialPiece, block: BlockIndex, now: number): void {
    const { piece } = partial
    // A snubbed peer that delivers again may still owe the block: then it is on its way, and not asked for twice.
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

  /** How many peers are asked for a block. */
  requesters(partial: PartialPiece, block: BlockIndex): number {
    if (partial.states[block] !== blockState.requested) return 0
    return this.#shared.get(this.key(partial.piece, block))?.length ?? 1
  }

  /** Whether more than one peer is asked for a block. */
  isShared(piece: PieceIndex, block: BlockIndex): boolean {
    return this.#shared.has(this.key(piece, block))
  }

  /** The peer's request for a block has ended without it; the block is free again if no one else is asked. */
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

  /** Takes a request back from a peer. */
  cancel(peer: PeerState, index: number, now: number): void {
    const request = peer.outstanding.at(index)
    if (request === undefined) return
    peer.take(index, false, now)
    peer.remember(this.key(request.piece, request.block))
    this.readiness.ready.add(peer)
    this.release(peer.id, request.piece, request.block)
    peer.source.cancel(request.piece, request.block)
  }

  /** A block has come from a peer: all others who were asked are told not to send it. */
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

  /** A block of a partial piece is there though nobody has sent it now: whoever is asked for it need not send it. */
  salvage(partial: PartialPiece, block: BlockIndex, now: number): void {
    const { piece } = partial
    for (const id of [...(this.#shared.get(this.key(piece, block)) ?? [partial.by[block] ?? -1])]) {
      const peer = this.peers.get(id)
      const at = peer?.indexOf(piece, block) ?? -1
      if (peer !== undefined && at >= 0) this.cancel(peer, at, now)
    }
    partial.receive(block, -2)
  }

  /** Blocks of a partial piece that came are to be fetched again. */
  discard(partial: PartialPiece, blocks: Iterable<number>): void {
    for (const block of blocks) partial.discard(block)
    if (partial.free > 0) this.#reopen(partial)
    this.dropIfEmpty(partial.piece)
  }

  /** Ends a partial piece of which nothing has come and nothing is asked for. */
  dropIfEmpty(piece: PieceIndex): void {
    const partial = this.partials.get(piece)
    if (partial === undefined || partial.free !== partial.blockCount) return
    this.close(piece)
    this.file(piece)
    this.sink.abandon(piece)
  }

  /** A number for a block of the torrent. */
  key(piece: PieceIndex, block: BlockIndex): number {
    return piece * this.layout.blocksPerPiece + block
  }

  /** Whether a peer that is under no suspicion and delivers would send blocks of a piece. */
  hasTrusted(piece: PieceIndex): boolean {
    for (const peer of this.peers.values()) {
      if (!peer.suspect && !peer.snubbed && peer.serves(piece)) return true
    }
    return false
  }

  /** A peer that fetched pieces alone does so no longer: others may help. */
  releaseSole(peer: PeerState): void {
    // No others ever do, and a peer that chokes is no reason to look at all pieces.
    if (!peer.suspect && !peer.discredited) return
    for (const partial of this.partials.values()) {
      if (partial.soleOwner !== peer.id) continue
      partial.soleOwner = -1
      this.#reopen(partial)
    }
  }

  /** Some piece may be set aside now that could not be before, for this torrent or for others. */
  offerMemory(): void {
    if (this.partials.size > 0) this.sink.reclaimable()
    if (this.outOfMemory) this.regainMemory()
  }

  /** There may be memory again: background pieces are opened, those that were set aside among them. */
  regainMemory(): void {
    this.outOfMemory = false
    this.readiness.unstarve()
  }

  /** Remembers the senders of a piece that failed. */
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

  /** No peer is asked for anything of a piece: what it has of memory may go to others. */
  rest(partial: PartialPiece): void {
    if (partial.streamed && partial.allowance > 0) {
      this.sink.giveBack(partial.piece, partial.allowance)
      partial.allowance = 0
    }
    this.offerMemory()
  }
}
