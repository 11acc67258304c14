import { blockLength, Layout } from '../../lib/metainfo/layout.ts'
import { Picker } from '../../lib/picker/picker.ts'
import { type PieceCopies, Recovery } from '../../lib/picker/recovery.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import { sinkOf, sourceOf } from '../picker/picker-parts.ts'
import { selectPieces } from '../picker/select-pieces.ts'
import { EventLoop, seededRandom } from './event-loop.ts'
import { SimPeer, type SimPeerOptions } from './sim-peer.ts'
import { SimReader } from './sim-reader.ts'

/** A peer of a scenario and its behaviour. */
export interface PeerPlan extends Partial<SimPeerOptions> {
  readonly bytesPerMs: number
  /** Milliseconds of a round trip. */
  readonly latencyMs: number
  /** Content of its wrong blocks, equal for colluding liars; its number by default. */
  readonly version?: number
  /** When we dial it; 0 by default. */
  readonly joinsAtMs?: number
  /** When it disconnects; never by default. */
  readonly leavesAtMs?: number
  /** Milliseconds from our interest until it unchokes us. */
  readonly unchokesAfterMs?: number
  /** Pieces that it gets over time, in order. */
  readonly gains?: readonly { readonly piece: number; readonly atMs: number }[]
}

/** The behaviour of a reader. */
export interface ReaderPlan {
  readonly startsAtMs: number
  /** The player's bit rate in bytes per millisecond. */
  readonly bytesPerMs: number
  /** First byte. */
  readonly start: number
  readonly seeks: readonly { readonly atMs: number; readonly to: number }[]
  /** When it closes its stream; at the end of the data by default. */
  readonly stopsAtMs?: number
  /** When it stops playing and reading for good, with its stream open; never by default. */
  readonly pausesAtMs?: number
  /** Bytes at the end of the data that its stream takes for the index of a film; none by default. */
  readonly indexBytes?: number
}

/** A swarm and its readers. */
export interface Scenario {
  readonly name: string
  readonly pieceLength: number
  readonly pieceCount: number
  readonly peers: readonly PeerPlan[]
  readonly readers: readonly ReaderPlan[]
  /** Virtual time after which the run is aborted. */
  readonly limitMs: number
  readonly seed?: number
}

/** For each received block: 0 if it is right, or the number of the peer that made it up. */
type Copy = Map<number, number>

interface Effect {
  readonly what: 'request' | 'cancel' | 'interest'
  readonly id: number
  readonly piece: number
  readonly block: number
}

/** Bytes hashed in a millisecond, before a piece is verified. */
export const hashedPerMs = 1_000_000

/** Round trips from the dial to the first request: connection, handshake, interest and unchoke. */
export const startRoundTrips = 3

/**
 * A picker as a torrent runs it, among the peers and readers of a scenario, in virtual time. The same
 * scenario gives the same run.
 */
export class SimSwarm {
  readonly loop: EventLoop = new EventLoop()
  readonly layout: Layout
  readonly picker: Picker
  readonly scenario: Scenario
  readonly readers: SimReader[]
  /** When each piece was verified, Infinity before. */
  readonly verifiedAt: Float64Array
  usefulBytes = 0
  /** Bytes that were duplicate or unrequested. */
  wastedBytes = 0
  blocks = 0
  /** Pieces that failed. */
  readonly failedAt: { readonly piece: number; readonly at: number }[] = []
  readonly bannedIds: Set<number> = new Set()
  /** All received bytes, right or wrong. */
  receivedBytes = 0
  /** Processor time in the picker, if it is measured. */
  pickerMs = 0
  measures = false
  readonly #peers = new Map<number, SimPeer>()
  readonly #recovery: Recovery
  /** Received blocks of each partial piece; not recorded in scenarios without liars. */
  readonly #copies = new Map<number, Copy>()
  /** The last bad copy of pieces that failed. */
  readonly #bad = new Map<number, Copy>()
  readonly #lies: boolean
  #wakeAt = Number.POSITIVE_INFINITY
  #missing: number
  /** Decisions of the picker that the peers have not received yet. */
  readonly #effects: Effect[] = []

  /** Makes a swarm at time 0, in which everything is selected. */
  constructor(scenario: Scenario) {
    this.scenario = scenario
    const { pieceLength, pieceCount, seed = 1 } = scenario
    const random = seededRandom(seed)
    this.layout = new Layout(pieceLength, [
      { path: ['film'], length: pieceLength * pieceCount, offset: 0, pad: false, attributes: '' } as never
    ])
    this.#missing = pieceCount
    this.verifiedAt = new Float64Array(pieceCount).fill(Number.POSITIVE_INFINITY)
    this.picker = new Picker(
      new PieceTable(this.layout),
      sinkOf({ abandon: (piece) => this.#copies.delete(piece) }),
      random
    )
    this.#lies = scenario.peers.some(({ corrupts = 0 }) => corrupts > 0)
    const copies: PieceCopies = {
      discard: (piece, blocks) => {
        const copy = this.#copies.get(piece)
        const there = blocks.filter((block) => copy?.delete(block))
        for (const block of there) this.usefulBytes -= this.layout.blockSize(piece, block)
        return there
      },
      keep: (piece, blocks) => {
        const bad = this.#bad.get(piece)
        this.#copies.set(piece, new Map(blocks.map((block) => [block, bad?.get(block) ?? 0])))
        for (const block of blocks) this.usefulBytes += this.layout.blockSize(piece, block)
        return blocks
      },
      salvage: (piece, blocks, accept) => {
        const copy = this.#copies.get(piece) ?? new Map<number, number>()
        this.#copies.set(piece, copy)
        for (const block of blocks) {
          if (copy.has(block)) continue
          accept(block)
          copy.set(block, this.#bad.get(piece)?.get(block) ?? 0)
          this.usefulBytes += this.layout.blockSize(piece, block)
        }
        if (this.picker.table.blocks.get(piece)?.complete === true) this.#whole(piece)
      }
    }
    this.#recovery = new Recovery(this.picker, copies, (host) => {
      this.bannedIds.add(Number(host))
      this.#leave(Number(host))
    })
    this.change((now) => selectPieces(this.picker, Array(pieceCount).keys(), 4, now))
    for (const [index, plan] of scenario.peers.entries()) {
      const dialled = plan.joinsAtMs ?? 0
      const joinsAt = dialled + 2 * plan.latencyMs
      this.loop.at(joinsAt, () => this.#join(index + 1, plan, random))
      if (plan.leavesAtMs !== undefined) this.loop.at(plan.leavesAtMs, () => this.#leave(index + 1))
    }
    this.readers = scenario.readers.map((plan, index) => new SimReader(this, index + 1, plan))
  }

  /** Number of banned hosts. */
  get banned(): number {
    return this.bannedIds.size
  }

  /**
   * The rest of the scenario: for peers that fall silent after some bytes, the bytes sent by now are
   * subtracted.
   */
  get rest(): Scenario {
    const peers = this.scenario.peers.map((plan, index) => {
      const { silentAfterBytes } = plan
      if (silentAfterBytes === undefined) return plan
      const sent = this.#peers.get(index + 1)?.sentBytes ?? 0
      return { ...plan, silentAfterBytes: Math.max(0, silentAfterBytes - sent) }
    })
    return { ...this.scenario, peers }
  }

  /** Whether every piece is verified. */
  get done(): boolean {
    return this.#missing === 0
  }

  /** Returns whether a piece is verified. */
  has(piece: number): boolean {
    return (this.verifiedAt[piece] ?? 0) <= this.loop.now
  }

  /** Runs until every piece is verified and all readers have ended, or the limit. */
  run(): void {
    const { loop, scenario } = this
    loop.run(() => this.#missing === 0 && this.readers.every(({ ended }) => ended), scenario.limitMs)
  }

  /** Runs a change of the picker and arms its timer. */
  change(run: (now: number) => void): void {
    if (this.measures) {
      const began = performance.now()
      run(this.loop.now)
      this.pickerMs += performance.now() - began
    } else run(this.loop.now)
    for (const { what, id, piece, block } of this.#effects) {
      const peer = this.#peers.get(id)
      if (what === 'request') peer?.request(piece, block, this.layout.blockSize(piece, block))
      else if (what === 'cancel') peer?.cancel(piece, block)
      else this.#interest(id)
    }
    this.#effects.length = 0
    const at = this.picker.wakeAt
    if (at < this.#wakeAt) this.#arm(at)
  }

  #arm(at: number): void {
    this.#wakeAt = at
    this.loop.at(at, () => {
      if (this.#wakeAt !== at) return
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.change((now) => this.picker.wakeAt <= now && this.picker.wake(now))
    })
  }

  #join(id: number, plan: PeerPlan, random: () => number): void {
    const options: SimPeerOptions = {
      pieces: 'all',
      choking: true,
      fast: true,
      maxRequests: 250,
      silent: false,
      rejects: 0,
      corrupts: 0,
      allowedFast: [],
      ignoresCancels: false,
      ...plan
    }
    const { picker } = this
    const peer = new SimPeer(
      this.loop,
      options,
      {
        piece: (piece, block, corrupt) => this.#piece(id, piece, block, corrupt),
        reject: (piece, block) => this.change((now) => picker.rejected(id, piece, block, now)),
        choke: () => this.change((now) => picker.choked(id, !options.fast, now)),
        unchoke: () => this.change((now) => picker.unchoked(id, now)),
        have: (piece) => this.change((now) => picker.have(id, piece, now)),
        allowedFast: (piece) => this.change((now) => picker.allowedFast(id, piece, now))
      },
      random
    )
    this.#peers.set(id, peer)
    const decisions = {
      request: (_: number, piece: number, block: number) =>
        this.#effects.push({ what: 'request', id, piece, block }),
      cancel: (_: number, piece: number, block: number) =>
        this.#effects.push({ what: 'cancel', id, piece, block }),
      interest: (_: number, interested: boolean) => {
        if (interested) this.#effects.push({ what: 'interest', id, piece: 0, block: 0 })
      }
    }
    picker.addPeer(sourceOf(id, decisions), plan.latencyMs)
    picker.setMaxRequests(id, options.maxRequests)
    for (const { piece, atMs } of plan.gains ?? []) this.loop.at(atMs, () => peer.gain(piece))
    this.change((now) => picker.bitfield(id, bitsOf(options.pieces, this.layout.pieceCount), now))
  }

  #leave(id: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    peer.leave()
    this.#peers.delete(id)
    this.change((now) => this.picker.removePeer(id, now))
  }

  #interest(id: number): void {
    const peer = this.#peers.get(id)
    const plan = this.scenario.peers[id - 1]
    if (peer === undefined || plan === undefined || !peer.choking) return
    this.loop.after(plan.latencyMs / 2 + (plan.unchokesAfterMs ?? 0), () => peer.choking && peer.unchoke())
  }

  #piece(id: number, piece: number, block: number, corrupt: boolean): void {
    const { picker } = this
    const bytes = Math.min(blockLength, this.layout.blockSize(piece, block))
    this.receivedBytes += bytes
    this.change((now) => {
      if (picker.received(id, piece, block, now) === 'wanted') {
        this.usefulBytes += bytes
        this.blocks++
        const whole = picker.table.blocks.get(piece)?.complete === true
        if (this.#lies)
          this.#arrived(id, piece, block, corrupt ? (this.scenario.peers[id - 1]?.version ?? id) : 0, now)
        if (whole) this.#whole(piece)
      } else this.wastedBytes += bytes
      picker.refill(id, now)
    })
  }

  #arrived(id: number, piece: number, block: number, version: number, now: number): void {
    const copy = this.#copies.get(piece) ?? new Map<number, number>()
    this.#copies.set(piece, copy)
    copy.set(block, version)
    this.#recovery.contributed(piece, block, String(id))
    this.#recovery.arrived(piece, block, String(id), () => digestOf(version), now)
  }

  #whole(piece: number): void {
    this.loop.after(this.layout.pieceSize(piece) / hashedPerMs, () => {
      const copy = this.#copies.get(piece) ?? new Map<number, number>()
      this.#copies.delete(piece)
      const digest = (block: number): Uint8Array => digestOf(copy.get(block) ?? 0)
      if ([...copy.values()].some((version) => version > 0)) {
        this.failedAt.push({ piece, at: this.loop.now })
        this.usefulBytes -= this.layout.pieceSize(piece)
        this.#bad.set(piece, copy)
        this.change((now) => this.#recovery.failed(piece, this.layout.blockCount(piece), digest, now))
        return
      }
      this.#bad.delete(piece)
      this.verifiedAt[piece] = this.loop.now
      this.#missing--
      // Readers are told when the picker is.
      this.change((now) => {
        this.picker.markVerified({ start: piece, end: piece + 1 }, now)
        this.#recovery.passed(piece, digest, now)
      })
      for (const reader of this.readers) reader.verified(piece)
    })
  }
}

function digestOf(version: number): Uint8Array {
  return Uint8Array.of(version & 255, version >> 8)
}

function bitsOf(pieces: SimPeerOptions['pieces'], pieceCount: number): Uint8Array | 'all' {
  if (pieces === 'all' || pieces instanceof Uint8Array) return pieces
  const bits = new Uint8Array(Math.ceil(pieceCount / 8))
  for (const piece of pieces) bits[piece >> 3] = (bits[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
  return bits
}
