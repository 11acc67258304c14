import { Layout } from '../../lib/metainfo/layout.ts'
import { Choker } from '../../lib/picker/choker.ts'
import { Picker } from '../../lib/picker/picker.ts'
import { Suggester } from '../../lib/picker/suggester.ts'
import { PieceTable } from '../../lib/pieces/piece-table.ts'
import { Meter } from '../../lib/util/meter.ts'
import { sinkOf, sourceOf } from '../picker/picker-parts.ts'
import { selectPieces } from '../picker/select-pieces.ts'
import { EventLoop, seededRandom } from './event-loop.ts'

/** One client of a {@link LeechSwarm}. */
export interface NodePlan {
  /** Its upload limit in bytes per second. */
  readonly upload: number
  /** Whether it is complete from the start. */
  readonly seeds?: boolean
  /** Whether it downloads and never uploads. */
  readonly freeRides?: boolean
}

/** Options of a {@link LeechSwarm}. */
export interface LeechSwarmOptions {
  readonly pieceLength: number
  readonly pieceCount: number
  readonly nodes: readonly NodePlan[]
  /** Milliseconds of a round trip between any two. */
  readonly latencyMs: number
  readonly seed?: number
}

interface Request {
  readonly piece: number
  readonly block: number
}

/**
 * Clients that all know each other, each with the real picker and choker, in virtual time. The same options
 * give the same run.
 */
export class LeechSwarm {
  readonly loop: EventLoop = new EventLoop()
  readonly layout: Layout
  readonly nodes: readonly Node[]
  readonly options: LeechSwarmOptions

  constructor(options: LeechSwarmOptions) {
    this.options = options
    const { pieceLength, pieceCount, seed = 1 } = options
    const random = seededRandom(seed)
    this.layout = new Layout(pieceLength, [
      { path: ['file'], length: pieceLength * pieceCount, offset: 0, pad: false, attributes: '' } as never
    ])
    this.nodes = options.nodes.map((plan, id) => new Node(this, id, plan, random))
    for (const node of this.nodes) node.meet()
  }

  /** Runs until all are complete. Returns the time in milliseconds, or Infinity. */
  run(limitMs: number): number {
    const done = (): boolean => this.nodes.every((node) => node.doneAt < Number.POSITIVE_INFINITY)
    return this.loop.run(done, limitMs) ? this.loop.now : Number.POSITIVE_INFINITY
  }

  /** Runs `then` when a message has arrived. */
  travel(then: () => void): void {
    this.loop.after(this.options.latencyMs / 2, then)
  }
}

/** A client. */
export class Node {
  readonly id: number
  readonly plan: NodePlan
  readonly picker: Picker
  readonly choker: Choker
  /** Payload bytes. */
  received = 0
  sent = 0
  doneAt: number = Number.POSITIVE_INFINITY
  readonly #swarm: LeechSwarm
  readonly #suggester: Suggester
  readonly queues: Map<number, Request[]> = new Map()
  readonly #meters = new Map<number, { down: Meter; up: Meter }>()
  readonly #wants = new Set<number>()
  #sending = false
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(swarm: LeechSwarm, id: number, plan: NodePlan, random: () => number) {
    this.#swarm = swarm
    this.id = id
    this.plan = plan
    const { loop, layout } = swarm
    this.picker = new Picker(new PieceTable(layout), sinkOf(), random)
    this.choker = new Choker({
      sink: {
        choke: (to) => {
          const queue = this.queues.get(to)?.splice(0) ?? []
          this.#to(to, (node) => {
            node.#change((picker, now) => picker.choked(this.id, false, now))
            for (const { piece, block } of queue) node.#rejected(this.id, piece, block)
          })
        },
        unchoke: (to) => {
          const piece = plan.seeds === true ? this.#suggester.unchoked(to) : -1
          if (piece >= 0) this.#suggest(to, piece)
          this.#to(to, (node) => node.#change((picker, now) => picker.unchoked(this.id, now)))
        }
      },
      rates: (of) => {
        const meters = this.#meters.get(of)
        return {
          downloadBytesPerSecond: meters?.down.rate(loop.now) ?? 0,
          uploadBytesPerSecond: meters?.up.rate(loop.now) ?? 0,
          downloaded: meters?.down.total ?? 0,
          uploaded: meters?.up.total ?? 0
        }
      },
      random,
      uploadLimit: plan.freeRides === true ? 0 : plan.upload
    })
    this.#suggester = new Suggester({
      pieceCount: layout.pieceCount,
      has: (of, piece) => swarm.nodes[of]?.picker.table.isVerified(piece) === true,
      random
    })
    const all = [...Array(layout.pieceCount).keys()]
    selectPieces(this.picker, all, 4, 0)
    if (plan.seeds === true) {
      this.picker.markVerified({ start: 0, end: layout.pieceCount }, 0)
      this.doneAt = 0
      this.choker.seeding = true
    }
    const round = (): void => {
      if (this.choker.wakeAt <= loop.now) this.choker.round(loop.now)
      loop.after(1000, round)
    }
    loop.after(1000 * random(), round)
  }

  /** Connects to all others. */
  meet(): void {
    for (const { id, plan } of this.#swarm.nodes) {
      if (id === this.id || (plan.seeds === true && this.plan.seeds === true)) continue
      this.queues.set(id, [])
      this.#meters.set(id, { down: new Meter(), up: new Meter() })
      this.choker.addPeer(id, 0)
      const decisions = {
        request: (to: number, piece: number, block: number) =>
          this.#to(to, (node) => node.#asked(this.id, piece, block)),
        cancel: (to: number, piece: number, block: number) =>
          this.#to(to, (node) => node.#cancelled(this.id, piece, block)),
        interest: (to: number, interested: boolean) =>
          this.#to(to, (node) => node.choker.interested(this.id, interested, this.#swarm.loop.now))
      }
      this.picker.addPeer(sourceOf(id, decisions), this.#swarm.options.latencyMs)
      if (plan.seeds === true)
        this.#swarm.loop.after(this.#swarm.options.latencyMs, () => {
          this.#change((picker, now) => picker.bitfield(id, 'all', now))
        })
    }
  }

  /** Returns payload bytes per second over the last seconds. */
  rate(): number {
    let sum = 0
    for (const { down } of this.#meters.values()) sum += down.rate(this.#swarm.loop.now)
    return sum
  }

  #to(id: number, run: (node: Node) => void): void {
    const node = this.#swarm.nodes[id]
    if (node !== undefined) this.#swarm.travel(() => run(node))
  }

  #change(run: (picker: Picker, now: number) => void): void {
    const { loop } = this.#swarm
    run(this.picker, loop.now)
    const at = this.picker.wakeAt
    if (at >= this.#wakeAt) return
    this.#wakeAt = at
    loop.at(at, () => {
      if (this.#wakeAt !== at) return
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.#change((picker, now) => picker.wakeAt <= now && picker.wake(now))
    })
  }

  #suggest(to: number, piece: number): void {
    this.#to(to, (node) => node.picker.suggested(this.id, piece))
  }

  #asked(from: number, piece: number, block: number): void {
    if (!this.choker.isUnchoked(from)) {
      this.#to(from, (node) => node.#rejected(this.id, piece, block))
      return
    }
    const next = this.plan.seeds === true ? this.#suggester.requested(from, piece) : -1
    if (next >= 0) this.#suggest(from, next)
    this.queues.get(from)?.push({ piece, block })
    this.#wants.add(from)
    this.#send()
  }

  #cancelled(from: number, piece: number, block: number): void {
    const queue = this.queues.get(from) ?? []
    const at = queue.findIndex((request) => request.piece === piece && request.block === block)
    if (at < 0) return
    queue.splice(at, 1)
    this.#to(from, (node) => node.#rejected(this.id, piece, block))
  }

  #rejected(by: number, piece: number, block: number): void {
    this.#change((picker, now) => picker.rejected(by, piece, block, now))
  }

  /** Sends one block after the other, to each waiting peer in turn. */
  #send(): void {
    if (this.#sending) return
    const { loop, layout } = this.#swarm
    for (const to of this.#wants) {
      this.#wants.delete(to)
      const request = this.queues.get(to)?.shift()
      if (request === undefined) continue
      this.#wants.add(to)
      this.#sending = true
      const bytes = layout.blockSize(request.piece, request.block)
      loop.after((bytes * 1000) / this.plan.upload, () => {
        this.#sending = false
        this.sent += bytes
        this.#meters.get(to)?.up.add(bytes, loop.now)
        this.choker.sent(to, bytes, loop.now)
        this.#to(to, (node) => node.#block(this.id, request.piece, request.block, bytes))
        this.#send()
      })
      return
    }
  }

  #block(from: number, piece: number, block: number, bytes: number): void {
    const { loop } = this.#swarm
    this.#change((picker, now) => {
      if (picker.received(from, piece, block, now) === 'wanted') {
        this.received += bytes
        this.#meters.get(from)?.down.add(bytes, now)
        if (picker.table.blocks.get(piece)?.complete === true) {
          picker.markVerified({ start: piece, end: piece + 1 }, now)
          for (const { id } of this.#swarm.nodes) {
            if (id !== this.id) this.#to(id, (node) => node.#has(this.id, piece))
          }
          if (picker.missing === 0) {
            this.doneAt = loop.now
            this.choker.seeding = true
          }
        }
      }
      picker.refill(from, now)
    })
  }

  #has(peer: number, piece: number): void {
    this.#suggester.haves(peer, [piece])
    if (this.plan.seeds !== true) this.#change((picker, now) => picker.have(peer, piece, now))
  }
}
