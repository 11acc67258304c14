import type { EventLoop } from './event-loop.ts'

/** How a simulated peer behaves. */
export interface SimPeerOptions {
  /** Bytes per millisecond that it sends us. */
  readonly bytesPerMs: number
  /** Round trip. */
  readonly latencyMs: number
  /** The most by which a message of either side is further delayed; order is kept. */
  readonly jitterMs?: number
  /** It falls silent once it has sent this many bytes. */
  readonly silentAfterBytes?: number
  /** Indices of its pieces, or a bitfield. */
  readonly pieces: 'all' | readonly number[] | Uint8Array
  /** Whether it chokes us from the start. */
  readonly choking: boolean
  /** Whether it speaks the fast extension (BEP 6): it rejects what it will not send. */
  readonly fast: boolean
  /** Requests that it queues; further ones are dropped. */
  readonly maxRequests: number
  /** Whether it takes requests and never answers. */
  readonly silent: boolean
  /** Part of the requests that it rejects though it could serve them. */
  readonly rejects: number
  /** Part of its blocks that are wrong. */
  readonly corrupts: number
  /** Pieces that it serves while it chokes us. */
  readonly allowedFast: readonly number[]
  /** Whether it sends a block all the same after a cancel. */
  readonly ignoresCancels: boolean
}

/** What a simulated peer sends; each comes half a round trip after it was sent, in order. */
export interface SimPeerEvents {
  piece(piece: number, block: number, corrupt: boolean): void
  reject(piece: number, block: number): void
  choke(): void
  unchoke(): void
  have(piece: number): void
  allowedFast(piece: number): void
}

interface Wanted {
  readonly piece: number
  readonly block: number
  readonly bytes: number
}

/** The far end of a connection: a queue of requests, answered one after the other at some rate, some time later. */
export class SimPeer {
  readonly options: SimPeerOptions
  /** Whether it takes requests and never answers; may change. */
  silent: boolean
  /** Bytes per millisecond; may change. */
  bytesPerMs: number
  choking: boolean
  /** Requests that came while its queue was full. */
  overflows = 0
  /** Blocks sent. */
  sent = 0
  readonly #loop: EventLoop
  readonly #events: SimPeerEvents
  readonly #random: () => number
  readonly #queue: Wanted[] = []
  readonly #pieces: Set<number> | Uint8Array | undefined
  #sending = false
  #sentBytes = 0
  /** When the last message of each way arrives. */
  readonly #lastAt = { in: 0, out: 0 }
  #gone = false

  constructor(loop: EventLoop, options: SimPeerOptions, events: SimPeerEvents, random: () => number) {
    this.options = options
    this.silent = options.silent
    this.bytesPerMs = options.bytesPerMs
    this.choking = options.choking
    this.#loop = loop
    this.#events = events
    this.#random = random
    const { pieces } = options
    if (pieces !== 'all') this.#pieces = pieces instanceof Uint8Array ? pieces.slice() : new Set(pieces)
  }

  /** Whether it has a piece. */
  has(piece: number): boolean {
    const pieces = this.#pieces
    if (pieces === undefined) return true
    return pieces instanceof Set
      ? pieces.has(piece)
      : ((pieces[piece >> 3] ?? 0) & (0x80 >> (piece & 7))) !== 0
  }

  /** We ask for a block. */
  request(piece: number, block: number, bytes: number): void {
    this.#travel('in', () => {
      if (this.choking && !this.options.allowedFast.includes(piece)) {
        this.#reject(piece, block)
        return
      }
      if (this.#queue.length >= this.options.maxRequests) {
        this.overflows++
        this.#reject(piece, block)
        return
      }
      if (this.#random() < this.options.rejects) this.#reject(piece, block)
      else {
        this.#queue.push({ piece, block, bytes })
        this.#send()
      }
    })
  }

  /** We take a request back. */
  cancel(piece: number, block: number): void {
    this.#travel('in', () => {
      if (this.options.ignoresCancels) return
      const at = this.#queue.findIndex((wanted) => wanted.piece === piece && wanted.block === block)
      if (at < 0) return
      this.#queue.splice(at, 1)
      this.#reject(piece, block)
    })
  }

  choke(): void {
    this.choking = true
    this.#tell(() => this.#events.choke())
    for (const { piece, block } of this.#queue.splice(0)) this.#reject(piece, block)
  }

  unchoke(): void {
    this.choking = false
    this.#tell(() => this.#events.unchoke())
  }

  /** It gets a further piece. */
  gain(piece: number): void {
    const pieces = this.#pieces
    if (pieces instanceof Set) pieces.add(piece)
    else if (pieces !== undefined) pieces[piece >> 3] = (pieces[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
    this.#tell(() => this.#events.have(piece))
  }

  allow(piece: number): void {
    this.#tell(() => this.#events.allowedFast(piece))
  }

  /** A silent peer speaks again and sends what it owes. */
  speak(): void {
    this.silent = false
    this.#send()
  }

  /** Nothing is sent or heard any more. */
  leave(): void {
    this.#gone = true
  }

  #send(): void {
    if (this.#sending || this.silent) return
    const next = this.#queue.shift()
    if (next === undefined) return
    this.#sending = true
    this.#loop.after(next.bytes / this.bytesPerMs, () => {
      this.#sending = false
      this.sent++
      this.#sentBytes += next.bytes
      if (this.#sentBytes >= (this.options.silentAfterBytes ?? Number.POSITIVE_INFINITY)) this.silent = true
      const corrupt = this.#random() < this.options.corrupts
      this.#tell(() => this.#events.piece(next.piece, next.block, corrupt))
      this.#send()
    })
  }

  #reject(piece: number, block: number): void {
    if (this.options.fast) this.#tell(() => this.#events.reject(piece, block))
  }

  #tell(run: () => void): void {
    this.#travel('out', run)
  }

  #travel(way: 'in' | 'out', run: () => void): void {
    const { latencyMs, jitterMs = 0 } = this.options
    let at = this.#loop.now + latencyMs / 2
    if (jitterMs > 0) {
      at = Math.max(at + this.#random() * jitterMs, this.#lastAt[way])
      this.#lastAt[way] = at
    }
    this.#loop.at(at, () => {
      if (!this.#gone) run()
    })
  }
}
