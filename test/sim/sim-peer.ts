import type { EventLoop } from './event-loop.ts'
import { NumberRing } from './number-ring.ts'

/** The behaviour of a simulated peer. */
export interface SimPeerOptions {
  /** Its upload rate to us in bytes per millisecond. */
  readonly bytesPerMs: number
  /** Milliseconds of a round trip. */
  readonly latencyMs: number
  /** The most milliseconds by which a message of either side is further delayed; order is kept. */
  readonly jitterMs?: number
  /** Bytes after which it falls silent. */
  readonly silentAfterBytes?: number
  /** Indices of its pieces, or a bitfield. */
  readonly pieces: 'all' | readonly number[] | Uint8Array
  /** Whether it chokes us from the start. */
  readonly choking: boolean
  /** Whether it supports the fast extension (BEP 6): it rejects requests that it will not answer. */
  readonly fast: boolean
  /** Length of its request queue; further requests are dropped. */
  readonly maxRequests: number
  /** Whether it accepts requests and never answers. */
  readonly silent: boolean
  /** Share of servable requests that it rejects. */
  readonly rejects: number
  /** Share of its blocks that are wrong. */
  readonly corrupts: number
  /** Pieces that it serves while it chokes us. */
  readonly allowedFast: readonly number[]
  /** Whether it sends a block in spite of a cancel. */
  readonly ignoresCancels: boolean
}

/** Messages of a simulated peer. Each arrives half a round trip after it was sent, in order. */
export interface SimPeerEvents {
  piece(piece: number, block: number, corrupt: boolean): void
  reject(piece: number, block: number): void
  choke(): void
  unchoke(): void
  have(piece: number): void
  allowedFast(piece: number): void
}

/** Message types, sent along with a piece and a block. Only `request` has a length in bytes. */
const message = {
  request: 0,
  cancel: 1,
  piece: 2,
  corrupt: 3,
  reject: 4,
  choke: 5,
  unchoke: 6,
  have: 7,
  allowedFast: 8
} as const
const kinds = 16

/** The far end of a connection: a queue of requests, answered in order at some rate, after a delay. */
export class SimPeer {
  readonly options: SimPeerOptions
  /** Whether it accepts requests and never answers; may change. */
  silent: boolean
  /** Bytes per millisecond; may change. */
  bytesPerMs: number
  choking: boolean
  /** Requests that came while its queue was full. */
  overflows = 0
  /** Blocks sent, and their bytes. */
  sent = 0
  sentBytes = 0
  readonly #loop: EventLoop
  readonly #events: SimPeerEvents
  readonly #random: () => number
  /** Blocks to send: piece, block and bytes of each. */
  readonly #queue = new NumberRing()
  /**
   * Messages on their way to the peer and to us: type and piece in one number, block, and bytes of a request.
   */
  readonly #inbound = new NumberRing()
  readonly #outbound = new NumberRing()
  #pieces: Set<number> | Uint8Array | undefined
  #ownsPieces = false
  #sending = false
  #sendsPiece = 0
  #sendsBlock = 0
  #sendsBytes = 0
  /** Arrival time of the last message in each direction. */
  #lastIn = 0
  #lastOut = 0
  #gone = false
  // One function for each type of event, not one for each event: a swarm of thousands has tens of thousands
  // of them scheduled.
  readonly #onInbound = (): void => this.#hear()
  readonly #onOutbound = (): void => this.#arrive()
  readonly #onSent = (): void => this.#sentOne()

  constructor(loop: EventLoop, options: SimPeerOptions, events: SimPeerEvents, random: () => number) {
    this.options = options
    this.silent = options.silent
    this.bytesPerMs = options.bytesPerMs
    this.choking = options.choking
    this.#loop = loop
    this.#events = events
    this.#random = random
    const { pieces } = options
    if (pieces !== 'all') this.#pieces = pieces instanceof Uint8Array ? pieces : new Set(pieces)
  }

  /** Returns whether it has a piece. */
  has(piece: number): boolean {
    const pieces = this.#pieces
    if (pieces === undefined) return true
    return pieces instanceof Set
      ? pieces.has(piece)
      : ((pieces[piece >> 3] ?? 0) & (0x80 >> (piece & 7))) !== 0
  }

  /** Receives our request for a block. */
  request(piece: number, block: number, bytes: number): void {
    this.#travelIn(message.request, piece, block, bytes)
  }

  /** Receives our cancel of a block. */
  cancel(piece: number, block: number): void {
    this.#travelIn(message.cancel, piece, block, 0)
  }

  choke(): void {
    this.choking = true
    this.#tell(message.choke)
    for (const { piece, block } of this.#takeQueue()) this.#reject(piece, block)
  }

  unchoke(): void {
    this.choking = false
    this.#tell(message.unchoke)
  }

  /** Gives it a further piece. */
  gain(piece: number): void {
    if (!this.#ownsPieces && this.#pieces instanceof Uint8Array) this.#pieces = this.#pieces.slice()
    this.#ownsPieces = true
    const pieces = this.#pieces
    if (pieces instanceof Set) pieces.add(piece)
    else if (pieces !== undefined) pieces[piece >> 3] = (pieces[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
    this.#tell(message.have, piece)
  }

  allow(piece: number): void {
    this.#tell(message.allowedFast, piece)
  }

  /** Ends its silence: it sends the overdue blocks. */
  speak(): void {
    this.silent = false
    this.#send()
  }

  /** Ends the connection: nothing is sent or received any more. */
  leave(): void {
    this.#gone = true
  }

  #send(): void {
    if (this.#sending || this.silent || this.#queue.length === 0) return
    this.#sending = true
    this.#sendsPiece = this.#queue.shift()
    this.#sendsBlock = this.#queue.shift()
    this.#sendsBytes = this.#queue.shift()
    this.#loop.after(this.#sendsBytes / this.bytesPerMs, this.#onSent)
  }

  #sentOne(): void {
    this.#sending = false
    this.sent++
    this.sentBytes += this.#sendsBytes
    if (this.sentBytes >= (this.options.silentAfterBytes ?? Number.POSITIVE_INFINITY)) this.silent = true
    const corrupt = this.#random() < this.options.corrupts
    this.#tell(corrupt ? message.corrupt : message.piece, this.#sendsPiece, this.#sendsBlock)
    this.#send()
  }

  #takeQueue(): { readonly piece: number; readonly block: number; readonly bytes: number }[] {
    const list = []
    while (this.#queue.length > 0) {
      list.push({ piece: this.#queue.shift(), block: this.#queue.shift(), bytes: this.#queue.shift() })
    }
    return list
  }

  #reject(piece: number, block: number): void {
    if (this.options.fast) this.#tell(message.reject, piece, block)
  }

  #travelIn(kind: number, piece: number, block: number, bytes: number): void {
    this.#lastIn = this.#arrivalAfter(this.#lastIn)
    this.#inbound.push(piece * kinds + kind)
    this.#inbound.push(block)
    this.#inbound.push(bytes)
    this.#loop.at(this.#lastIn, this.#onInbound)
  }

  #tell(kind: number, piece = 0, block = 0): void {
    this.#lastOut = this.#arrivalAfter(this.#lastOut)
    this.#outbound.push(piece * kinds + kind)
    this.#outbound.push(block)
    this.#loop.at(this.#lastOut, this.#onOutbound)
  }

  #arrivalAfter(last: number): number {
    const { latencyMs, jitterMs = 0 } = this.options
    const at = this.#loop.now + latencyMs / 2
    return jitterMs > 0 ? Math.max(at + this.#random() * jitterMs, last) : at
  }

  /** Handles the arrival of our message at the peer. */
  #hear(): void {
    const what = this.#inbound.shift()
    const block = this.#inbound.shift()
    const bytes = this.#inbound.shift()
    if (this.#gone) return
    const kind = what & (kinds - 1)
    const piece = (what - kind) / kinds
    if (kind === message.cancel) this.#dequeue(piece, block)
    else if (this.choking && !this.options.allowedFast.includes(piece)) this.#reject(piece, block)
    else if (this.#queue.length >= this.options.maxRequests * 3) {
      this.overflows++
      this.#reject(piece, block)
    } else if (this.#random() < this.options.rejects) this.#reject(piece, block)
    else {
      this.#queue.push(piece)
      this.#queue.push(block)
      this.#queue.push(bytes)
      this.#send()
    }
  }

  #dequeue(piece: number, block: number): void {
    if (this.options.ignoresCancels) return
    let found = false
    for (const wanted of this.#takeQueue()) {
      if (!found && wanted.piece === piece && wanted.block === block) found = true
      else {
        this.#queue.push(wanted.piece)
        this.#queue.push(wanted.block)
        this.#queue.push(wanted.bytes)
      }
    }
    if (found) this.#reject(piece, block)
  }

  /** Handles the arrival of the peer's message at our end. */
  #arrive(): void {
    const what = this.#outbound.shift()
    const block = this.#outbound.shift()
    if (this.#gone) return
    const kind = what & (kinds - 1)
    const piece = (what - kind) / kinds
    const events = this.#events
    if (kind === message.piece || kind === message.corrupt)
      events.piece(piece, block, kind === message.corrupt)
    else if (kind === message.reject) events.reject(piece, block)
    else if (kind === message.choke) events.choke()
    else if (kind === message.unchoke) events.unchoke()
    else if (kind === message.have) events.have(piece)
    else events.allowedFast(piece)
  }
}
