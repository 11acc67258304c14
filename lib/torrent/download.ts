import { hashOf } from '../hash/running-hash.ts'
import { blockLength, type Layout } from '../metainfo/layout.ts'
import { Picker } from '../picker/picker.ts'
import { Recovery } from '../picker/recovery.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import type { PieceProofs } from '../pieces/piece-proofs.ts'
import type { PieceTable } from '../pieces/piece-table.ts'
import { Assembly } from '../storage/assembly.ts'
import type { BlockDigests } from '../storage/block-digests.ts'
import type { BlockWriter } from '../storage/block-writers.ts'
import type { Storage } from '../storage/storage.ts'
import type { Peer, PeerLoad } from '../swarm/peer.ts'
import type { PeerManager } from '../swarm/peer-manager.ts'
import { WireSource } from '../swarm/wire-source.ts'
import { monotonicMs } from '../util/clock.ts'
import { debug } from '../util/debug.ts'
import type { PeerNumber, PieceIndex } from '../util/indices.ts'
import { LazyMap } from '../util/lazy-collections.ts'
import type { MemoryAccount, MemoryBudget } from '../util/memory-budget.ts'

const log = debug('choke')

/** Callbacks of a {@link Download}. */
export interface DownloadEvents {
  /** Bytes of a block that was wanted have arrived. */
  received(peer: Peer, bytes: number): void
  /** A block is complete in the memory of its piece. */
  arrived(piece: PieceIndex): void
  /** A complete piece is wrong, or a partial piece was discarded. */
  failed(piece: PieceIndex): void
  /** Bytes of a block that was not wanted. */
  wasted(bytes: number): void
  /** A piece was written to storage. */
  written(piece: PieceIndex): void
  /** A verified piece was lost because it could not be written. */
  lost(piece: PieceIndex): void
  /** Storage failed. */
  error(error: Error): void
}

const unknown: BlockDigests = () => undefined

/** Connects the picker, the peers' wires and the assembly of pieces: the path from a peer's bitfield to a verified piece. */
export class Download {
  readonly picker: Picker
  readonly assembly: Assembly
  /** The torrent's share of the memory budget. */
  readonly account: MemoryAccount
  readonly #layout: Layout
  readonly #events: DownloadEvents
  readonly #recovery: Recovery
  /** For each peer, the block that it is sending directly into the memory of a piece. */
  readonly #writers = new LazyMap<number, BlockWriter>()
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(
    table: PieceTable,
    storage: Storage,
    budget: MemoryBudget,
    proofs: PieceProofs,
    manager: Pick<PeerManager, 'ban'>,
    events: DownloadEvents
  ) {
    const { layout } = table
    this.#layout = layout
    this.#events = events
    this.account = budget.open({
      reclaim: (surplus) => this.picker.memory.reclaim(surplus),
      onFreed: () => this.#timerAt !== 0 && this.#change((now) => this.picker.memory.onFreed(now))
    })
    this.assembly = new Assembly(table, storage, this.account, proofs, {
      arrived: (piece) => events.arrived(piece),
      verified: (piece, digests) => this.#verified(piece, digests),
      failed: (piece, digestOf) => this.#failed(piece, digestOf),
      written: (piece) => events.written(piece),
      abandoned: (piece) => {
        events.failed(piece)
        this.#recovery.forget(piece)
      },
      invalidated: (piece) => events.failed(piece),
      lost: (piece) => {
        events.failed(piece)
        this.#change((now) => this.picker.lost(piece, now))
      },
      granted: (piece, blocks) => this.#change((now) => this.picker.memory.grant(piece, blocks, now)),
      dropped: (piece, block) => this.picker.memory.dropped(piece, block),
      streamed: (piece) => this.picker.memory.streamed(piece),
      error: (error, piece) => {
        events.lost(piece)
        this.#change((now) => this.picker.lost(piece, now))
        events.error(error)
      }
    })
    this.picker = new Picker(table, this.assembly, Math.random)
    this.#recovery = new Recovery(this.picker, this.assembly, (banKey) => manager.ban(banKey))
  }

  /** Adds a peer after the handshake. `granted` are the pieces that it allowed fast (BEP 6) before. */
  addPeer(peer: Peer, granted: Iterable<number>): void {
    const { wire, id } = peer
    const { picker } = this
    const source = new WireSource(peer, this.#layout)
    const writer = this.assembly.writers.open(source)
    this.#writers.set(id, writer)
    picker.addPeer(source, peer.latencyMs)
    picker.setMaxRequests(id, wire.peerMaxRequests)
    wire.blockTarget = (piece, offset, length) => this.#target(writer, piece, offset, length)
    wire.on('piece', (piece, offset, data, owned) => this.#piece(peer, writer, piece, offset, data, owned))
    wire.on('choke', () => this.#change((now) => picker.choked(id, !wire.peerFast, now)))
    wire.on('unchoke', () => this.#change((now) => picker.unchoked(id, now)))
    wire.on('have', (piece) => this.#change((now) => picker.have(id, piece, now)))
    wire.on('dont-have', (piece) => this.#change((now) => picker.dontHave(id, piece, now)))
    wire.on('bitfield', () => this.#bitfield(peer))
    wire.on('allowed-fast', (piece) => this.#change((now) => picker.allowedFast(id, piece, now)))
    wire.on('suggest', (piece) => picker.suggested(id, piece))
    wire.on('extended-handshake', () => picker.setMaxRequests(id, wire.peerMaxRequests))
    wire.on('reject', (piece, offset) => {
      this.#change((now) => picker.rejected(id, piece, Math.floor(offset / blockLength), now))
    })
    if (log.enabled)
      for (const event of ['choke', 'unchoke'] as const)
        wire.on(event, () => log('peer %d: it %ss us', id, event))
    if (wire.peerPieceTotal > 0) this.#bitfield(peer)
    for (const piece of granted) {
      if (piece < this.#layout.pieceCount) this.#change((now) => picker.allowedFast(id, piece, now))
    }
    if (!wire.peerChoking) this.#change((now) => picker.unchoked(id, now))
    this.#change((now) => this.#recovery.joined(id, peer.banKey, now))
  }

  /** Removes a peer that has disconnected. */
  removePeer(peer: Peer): void {
    const writer = this.#writers.get(peer.id)
    if (writer !== undefined) this.assembly.writers.close(writer)
    this.#writers.delete(peer.id)
    this.#change((now) => this.picker.removePeer(peer.id, now))
  }

  /** Returns the number of requests to a peer, and the piece that it is sending or else that of its oldest request. */
  load(id: PeerNumber): PeerLoad {
    const outstanding = this.picker.peer(id)?.outstanding
    const receiving = this.#writers.get(id)?.piece ?? -1
    return {
      requests: outstanding?.length ?? 0,
      piece: receiving >= 0 ? receiving : outstanding?.at(0)?.piece
    }
  }

  /** Opens, moves or (undefined) closes the readahead window of a stream. */
  setWindow(streamId: number, window: ByteWindow | undefined, jumped: boolean): void {
    this.#change((now) => this.picker.setWindow(streamId, window, jumped, now))
  }

  /** Runs a change of the picker with the current time, then sets the timer for the picker's next wake-up. */
  change(run: (picker: Picker, now: number) => void): void {
    const now = monotonicMs()
    run(this.picker, now)
    this.#arm(now)
  }

  /** Stops the timer. The caller closes the assembly. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timerAt = 0
  }

  #change(run: (now: number) => void): void {
    const now = monotonicMs()
    run(now)
    this.#arm(now)
  }

  #arm(now: number): void {
    const at = this.picker.wakeAt
    // An earlier timer sets the next one when it fires.
    if (at >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    this.#timer = setTimeout(() => this.#wake(), Math.max(1, at - now))
    this.#timer.unref()
  }

  #wake(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = monotonicMs()
    if (this.picker.wakeAt <= now + 1) this.picker.wake(now)
    this.#arm(now)
  }

  #bitfield(peer: Peer): void {
    const { wire } = peer
    const bits = wire.peerSeeding ? 'all' : wire.peerPieces.buffer
    this.#change((now) => this.picker.bitfield(peer.id, bits, now))
  }

  #target(writer: BlockWriter, piece: PieceIndex, offset: number, length: number): Uint8Array | undefined {
    this.assembly.writers.end(writer)
    const block = offset / blockLength
    if (!Number.isInteger(block) || length !== this.#layout.blockSize(piece, block)) return undefined
    if (!this.picker.expects(writer.source.id, piece, block)) return undefined
    const target = this.assembly.claim(piece, block)
    if (target === undefined) return undefined
    writer.piece = piece
    writer.block = block
    return target
  }

  #piece(
    peer: Peer,
    writer: BlockWriter,
    piece: PieceIndex,
    offset: number,
    data: Uint8Array,
    owned: boolean
  ): void {
    const { writers } = this.assembly
    const block = offset / blockLength
    if (!Number.isInteger(block) || data.length !== this.#layout.blockSize(piece, block)) {
      this.#events.wasted(data.length)
      return
    }
    const now = monotonicMs()
    const verdict = this.picker.received(peer.id, piece, block, now)
    if (verdict === 'wanted') {
      const inPlace = owned && writer.piece === piece && writer.block === block
      if (inPlace) writer.piece = -1
      else if (this.assembly.isClaimed(piece, block)) writers.detach(piece, block)
      this.#recovery.contributed(piece, block, peer.banKey)
      this.#events.received(peer, data.length)
      this.assembly.fill(piece, block, inPlace ? undefined : data)
      this.#recovery.arrived(piece, block, peer.banKey, () => hashOf('sha1', data), now)
    } else {
      if (owned) writers.end(writer)
      this.#events.wasted(data.length)
    }
    this.picker.refill(peer.id, now)
    this.#arm(now)
  }

  #verified(
    piece: PieceIndex,
    digests: () => BlockDigests | Promise<BlockDigests>
  ): Promise<void> | undefined {
    // Digests are needed only to find the peer that sent a bad block, which is rare.
    const digestOf = this.#recovery.isContested(piece) ? digests() : unknown
    const isLong = 'then' in digestOf
    this.#change((now) => {
      this.picker.markVerified({ start: piece, end: piece + 1 }, now)
      if (!isLong) this.#recovery.passed(piece, digestOf, now)
    })
    this.picker.table.tellVerified(piece)
    return isLong ? this.#passed(piece, digestOf) : undefined
  }

  async #passed(piece: PieceIndex, digests: Promise<BlockDigests>): Promise<void> {
    const digestOf = await digests
    this.#change((now) => this.#recovery.passed(piece, digestOf, now))
  }

  #failed(piece: PieceIndex, digestOf: BlockDigests): void {
    this.#change((now) => {
      this.#recovery.failed(piece, this.#layout.blockCount(piece), digestOf, now)
    })
    this.#events.failed(piece)
  }
}
