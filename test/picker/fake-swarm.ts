import assert from 'node:assert/strict'
import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { Picker } from '../../lib/picker/picker.ts'
import type { ByteWindow } from '../../lib/pieces/byte-window.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import { EventLoop, seededRandom } from '../sim/event-loop.ts'
import { SimPeer, type SimPeerOptions } from '../sim/sim-peer.ts'
import { sinkOf, sourceOf } from './picker-parts.ts'
import { selectPieces } from './select-pieces.ts'

/** Options of a {@link FakeSwarm}. */
export interface FakeSwarmOptions {
  readonly seed?: number
  readonly pieceCount?: number
  readonly blocksPerPiece?: number
  /** Bytes by which the last piece is shorter than the others. */
  readonly shorter?: number
  /** Number of pieces that fit into memory. */
  readonly memoryPieces?: number
  /** Whether blocks of evicted pieces are stored. */
  readonly spills?: boolean
  /** Milliseconds from the last block to the verdict. */
  readonly hashMs?: number
}

/** A request that was sent. */
export interface SentRequest {
  readonly at: number
  readonly peer: number
  readonly piece: number
  readonly block: number
}

interface Link {
  readonly peer: SimPeer
  /** Blocks requested, and neither received nor cancelled. */
  readonly outstanding: Set<number>
  /** Cancelled blocks. */
  readonly cancelled: Set<number>
  readonly allowed: Set<number>
  choking: boolean
  interested: boolean
  suspect: boolean
}

const plainPeer: SimPeerOptions = {
  bytesPerMs: 500,
  latencyMs: 40,
  pieces: 'all',
  choking: false,
  fast: true,
  maxRequests: 250,
  silent: false,
  rejects: 0,
  corrupts: 0,
  allowedFast: [],
  ignoresCancels: false
}

/**
 * A picker among simulated peers in virtual time. Checks every request: its block is wanted, no peer is asked
 * twice at once, beyond its queue, or while it chokes. The same seed gives the same run.
 */
export class FakeSwarm {
  readonly loop: EventLoop = new EventLoop()
  readonly layout: Layout
  readonly picker: Picker
  readonly links: Map<number, Link> = new Map<number, Link>()
  readonly requests: SentRequest[] = []
  readonly cancels: SentRequest[] = []
  /** Pieces in the order in which they were verified. */
  readonly completed: number[] = []
  /** Pieces with reserved memory. */
  readonly reserved: Set<number> = new Set()
  /** Blocks received in vain. `useful` counts the others. */
  duplicates = 0
  useful = 0
  /** Unrequested blocks received. */
  unrequested = 0
  failures = 0
  wakes = 0
  abandoned = 0
  spilled = 0
  memoryPieces: number
  readonly random: () => number
  readonly #options: FakeSwarmOptions
  readonly #priority: Uint8Array
  readonly #unchecked = new Set<number>()
  readonly #windows = new Map<number, ByteWindow>()
  /** The received blocks of each piece; true for a wrong one. */
  readonly #blocks = new Map<number, Map<number, boolean>>()
  readonly #stored = new Map<number, readonly number[]>()
  #wakeAt = Number.POSITIVE_INFINITY
  #lastId = 0
  #refused = false
  /** Pieces whose memory is released once they are written. */
  #spilling = 0

  constructor(options: FakeSwarmOptions = {}) {
    const { seed = 1, pieceCount = 32, blocksPerPiece = 16, shorter = 0 } = options
    this.#options = options
    this.memoryPieces = options.memoryPieces ?? Number.POSITIVE_INFINITY
    this.random = seededRandom(seed)
    const pieceLength = blocksPerPiece * blockLength
    const length = pieceCount * pieceLength - shorter
    this.layout = new Layout(pieceLength, [
      { path: ['a'], length, offset: 0, pad: false, attributes: '' } as never
    ])
    this.#priority = new Uint8Array(pieceCount)
    this.picker = new Picker(
      new PieceTable(this.layout),
      sinkOf({
        reserve: (piece, urgent) => (this.#reserve(piece, urgent) ? Number.POSITIVE_INFINITY : 0),
        reclaimable: () => this.#freed(),
        abandon: (piece) => {
          if (!this.reserved.delete(piece)) return
          this.abandoned++
          this.#blocks.delete(piece)
          this.#freed()
        },
        ...(options.spills === true ? { spill: (piece: number) => this.#spill(piece) } : {})
      }),
      this.random
    )
  }

  get now(): number {
    return this.loop.now
  }

  /** Adds a peer after its handshake, which announces its pieces. Returns its number. */
  add(options: Partial<SimPeerOptions> = {}): number {
    const id = ++this.#lastId
    const all = { ...plainPeer, ...options }
    const peer = new SimPeer(
      this.loop,
      all,
      {
        piece: (piece, block, corrupt) => this.#piece(id, piece, block, corrupt),
        reject: (piece, block) => {
          const { outstanding, cancelled } = this.#link(id)
          const key = this.#key(piece, block)
          // A cancel is answered before a later request for the same block.
          if (!cancelled.delete(key)) outstanding.delete(key)
          this.change((now) => this.picker.rejected(id, piece, block, now))
        },
        choke: () => {
          const link = this.#link(id)
          link.choking = true
          if (!all.fast) link.outstanding.clear()
          this.change((now) => this.picker.choked(id, !all.fast, now))
        },
        unchoke: () => {
          this.#link(id).choking = false
          this.change((now) => this.picker.unchoked(id, now))
        },
        have: (piece) => this.change((now) => this.picker.have(id, piece, now)),
        allowedFast: (piece) => {
          this.#link(id).allowed.add(piece)
          this.change((now) => this.picker.allowedFast(id, piece, now))
        }
      },
      this.random
    )
    this.links.set(id, {
      peer,
      outstanding: new Set(),
      cancelled: new Set(),
      allowed: new Set(),
      choking: true,
      interested: false,
      suspect: false
    })
    const decisions = {
      request: (_: number, piece: number, block: number) => this.#request(id, piece, block),
      cancel: (_: number, piece: number, block: number) => this.#cancel(id, piece, block),
      interest: (_: number, interested: boolean) => {
        const link = this.#link(id)
        assert.notEqual(link.interested, interested, 'interest is told once')
        link.interested = interested
      }
    }
    this.picker.addPeer(sourceOf(id, decisions), all.latencyMs)
    this.picker.setMaxRequests(id, all.maxRequests)
    this.change((now) => this.picker.bitfield(id, this.#bits(all.pieces), now))
    for (const piece of all.allowedFast) peer.allow(piece)
    if (!all.choking) peer.unchoke()
    return id
  }

  /** Returns the far end of a peer. */
  peer(id: number): SimPeer {
    return this.#link(id).peer
  }

  remove(id: number): void {
    this.#link(id).peer.leave()
    this.links.delete(id)
    this.change((now) => this.picker.removePeer(id, now))
  }

  suspect(id: number, suspect: boolean): void {
    this.#link(id).suspect = suspect
    this.change((now) => this.picker.suspect(id, suspect, false, now))
  }

  select(pieces: Iterable<number>, priority: number): void {
    const list = [...pieces]
    for (const piece of list) this.#priority[piece] = priority
    this.change((now) => selectPieces(this.picker, list, priority, now))
  }

  selectAll(priority = 4): void {
    this.select(Array(this.layout.pieceCount).keys(), priority)
  }

  /** Opens, moves or closes a window of `pieces` pieces. */
  window(id: number, start: number, pieces: number, jumped = false, bytesPerMs = 1000): void {
    const end = Math.min(this.layout.pieceCount, start + pieces)
    const window = { pieces: { start, end }, bytesPerMs, waiting: true }
    if (pieces > 0) this.#windows.set(id, window)
    else this.#windows.delete(id)
    this.change((now) => this.picker.setWindow(id, pieces > 0 ? window : undefined, jumped, now))
  }

  unchecked(pieces: readonly number[]): void {
    for (const piece of pieces) this.#unchecked.add(piece)
    this.change((now) => this.picker.unchecked(pieces, now))
  }

  had(pieces: readonly number[]): void {
    for (const piece of pieces) this.#unchecked.delete(piece)
    this.change((now) => {
      for (const piece of pieces) this.picker.markVerified({ start: piece, end: piece + 1 }, now)
    })
  }

  lost(piece: number): void {
    this.#unchecked.delete(piece)
    this.#blocks.delete(piece)
    this.change((now) => this.picker.lost(piece, now))
  }

  stored(piece: number, blocks: readonly number[]): void {
    this.#stored.set(piece, blocks)
    this.picker.table.blocks.setKept(piece, blocks)
  }

  /** Sets the number of pieces that fit into memory. */
  setMemory(pieces: number): void {
    this.memoryPieces = pieces
    this.#freed()
  }

  /** Runs a change of the picker and arms its timer. */
  change(run: (now: number) => void): void {
    run(this.now)
    this.#arm()
  }

  /** Runs until every wanted piece is verified. Fails after `limitMs` of virtual time. */
  finish(limitMs = 600_000): void {
    const done = this.loop.run(() => this.picker.missing === 0, this.now + limitMs)
    assert.ok(done, `${this.picker.missing} pieces are missing after ${this.now} ms: ${this.#describe()}`)
  }

  /** Blocks received in vain for each useful one. */
  get waste(): number {
    return this.duplicates / Math.max(1, this.useful)
  }

  /** Number of blocks requested now. */
  get outstanding(): number {
    let count = 0
    for (const link of this.links.values()) count += link.outstanding.size
    return count
  }

  /** Peers that were asked for a piece. */
  askedFor(piece: number): Set<number> {
    return new Set(this.requests.filter((request) => request.piece === piece).map(({ peer }) => peer))
  }

  #request(id: number, piece: number, block: number): void {
    const link = this.#link(id)
    const key = this.#key(piece, block)
    const what = `piece ${piece} block ${block} of peer ${id}`
    assert.ok(block >= 0 && block < this.layout.blockCount(piece), `no such block: ${what}`)
    assert.ok(this.#isWanted(piece), `not wanted: ${what}`)
    assert.ok(link.peer.has(piece), `not there: ${what}`)
    assert.ok(!link.choking || link.allowed.has(piece), `choked: ${what}`)
    assert.ok(!link.outstanding.has(key), `asked twice at once: ${what}`)
    assert.ok(this.reserved.has(piece), `no memory: ${what}`)
    assert.ok(!this.#blocks.get(piece)?.has(block), `is there: ${what}`)
    assert.ok(link.interested, `not interested: ${what}`)
    link.outstanding.add(key)
    assert.ok(link.outstanding.size <= link.peer.options.maxRequests, `beyond the queue: ${what}`)
    this.requests.push({ at: this.now, peer: id, piece, block })
    link.peer.request(piece, block, this.layout.blockSize(piece, block))
  }

  #cancel(id: number, piece: number, block: number): void {
    const link = this.#link(id)
    assert.ok(link.outstanding.delete(this.#key(piece, block)), 'a cancelled block was requested')
    link.cancelled.add(this.#key(piece, block))
    this.cancels.push({ at: this.now, peer: id, piece, block })
    link.peer.cancel(piece, block)
  }

  #piece(id: number, piece: number, block: number, corrupt: boolean): void {
    const { outstanding, cancelled } = this.#link(id)
    if (!outstanding.delete(this.#key(piece, block))) cancelled.delete(this.#key(piece, block))
    const verdict = this.picker.received(id, piece, block, this.now)
    if (verdict === 'wanted') {
      this.useful++
      let blocks = this.#blocks.get(piece)
      if (blocks === undefined) this.#blocks.set(piece, (blocks = new Map()))
      assert.ok(!blocks.has(block), 'a wanted block is new')
      blocks.set(block, corrupt)
      this.#whole(piece)
    } else {
      this.duplicates++
      if (verdict === 'unrequested') this.unrequested++
    }
    if (this.links.has(id)) this.change((now) => this.picker.refill(id, now))
  }

  #whole(piece: number): void {
    const blocks = this.#blocks.get(piece)
    if (blocks === undefined || blocks.size < this.layout.blockCount(piece)) return
    const verdict = (): void => {
      if (this.#blocks.get(piece) !== blocks) return
      this.reserved.delete(piece)
      this.#blocks.delete(piece)
      if ([...blocks.values()].includes(true)) {
        this.failures++
        this.lost(piece)
      } else {
        this.completed.push(piece)
        this.change((now) => this.picker.markVerified({ start: piece, end: piece + 1 }, now))
      }
      this.#freed()
    }
    if (this.#options.hashMs === undefined) verdict()
    else this.loop.after(this.#options.hashMs, verdict)
  }

  #reserve(piece: number, urgent: boolean): boolean {
    assert.ok(!this.reserved.has(piece), 'memory is reserved once')
    while (this.reserved.size + this.#spilling >= this.memoryPieces) {
      if (this.#spilling === 0 && this.picker.memory.reclaim(urgent ? 'idle' : 'unserved')) continue
      this.#refused = true
      return false
    }
    this.reserved.add(piece)
    const stored = this.#stored.get(piece)
    this.#stored.delete(piece)
    if (stored !== undefined) {
      this.#blocks.set(piece, new Map(stored.map((block) => [block, false])))
      this.loop.after(5, () => this.#whole(piece))
    }
    return true
  }

  #spill(piece: number): boolean {
    this.spilled++
    this.#stored.set(piece, [...(this.#blocks.get(piece)?.keys() ?? [])])
    this.#blocks.delete(piece)
    this.reserved.delete(piece)
    this.#spilling++
    this.loop.after(5, () => {
      this.#spilling--
      this.#freed()
    })
    return true
  }

  #freed(): void {
    if (!this.#refused) return
    this.#refused = false
    this.loop.after(0, () => this.change((now) => this.picker.memory.onFreed(now)))
  }

  #arm(): void {
    const at = this.picker.wakeAt
    if (at >= this.#wakeAt) return
    this.#wakeAt = at
    this.loop.at(at, () => {
      if (this.#wakeAt !== at) return
      this.#wakeAt = Number.POSITIVE_INFINITY
      if (this.picker.wakeAt <= this.now) {
        this.wakes++
        this.picker.wake(this.now)
      }
      this.#arm()
    })
  }

  #isWanted(piece: number): boolean {
    if (this.picker.table.isVerified(piece) || this.#unchecked.has(piece)) return false
    if ((this.#priority[piece] ?? 0) > 0) return true
    return [...this.#windows.values()].some(({ pieces }) => piece >= pieces.start && piece < pieces.end)
  }

  #bits(pieces: SimPeerOptions['pieces']): Uint8Array | 'all' {
    if (pieces === 'all' || pieces instanceof Uint8Array) return pieces
    const bits = new Uint8Array(Math.ceil(this.layout.pieceCount / 8))
    for (const piece of pieces) bits[piece >> 3] = (bits[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
    return bits
  }

  #describe(): string {
    const partials = [...this.picker.table.blocks.values()].map(
      ({ piece, free, received, soleOwner }) => `${piece}: ${free} free, ${received} there, sole ${soleOwner}`
    )
    const peers = [...this.links].map(([id, { outstanding, choking }]) => {
      const peer = this.picker.peer(id)
      return `${id}: ${outstanding.size} out, ${choking ? 'choking' : 'open'}, snubbed ${peer?.snubbed}, starved ${peer?.starved}`
    })
    return `wake ${this.picker.wakeAt}; memory ${this.reserved.size}; ${partials.join('; ')}; ${peers.join('; ')}`
  }

  #link(id: number): Link {
    const link = this.links.get(id)
    assert.ok(link !== undefined, `peer ${id} is gone`)
    return link
  }

  #key(piece: number, block: number): number {
    return piece * this.layout.blocksPerPiece + block
  }
}
