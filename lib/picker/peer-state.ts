import { LinkEstimate } from './link-estimate.ts'

/** A block that was asked of a peer and has neither come nor been refused. */
export interface Outstanding {
  readonly piece: number
  readonly block: number
  readonly bytes: number
  /** Milliseconds, the clock of `now`. */
  readonly sentAt: number
}

/** What the picker knows of one peer. */
export class PeerState {
  readonly id: number
  /** Bit i (from the high end of each byte) says that the peer has piece i. */
  bits: Uint8Array
  /** Whether the peer has every piece. */
  seed = false
  /** Whether the peer chokes us. */
  choked = true
  /** Whether we have told the peer that we are interested. */
  interested = false
  /** Pieces that we want and the peer has. */
  wanted = 0
  /** How many requests the peer lets us queue (BEP 10 `reqq`). */
  maxRequests = 250
  /** Requests that the pipeline may hold, grown block by block. */
  depth = 4
  /** Asked for and still to come, oldest first. */
  readonly outstanding: Outstanding[] = []
  outstandingBytes = 0
  readonly link: LinkEstimate
  /** Whether it owes us blocks for too long; then it is asked for one at a time. */
  snubbed = false
  /** Whether it may only fetch whole pieces alone after a bad piece. */
  suspect = false
  /** The piece that it was last asked for in the background, or -1. */
  currentPiece = -1
  /** Whether the last search found nothing for it, and nothing has changed since. */
  starved = false
  /** Pieces that it serves while choking us (BEP 6). */
  readonly allowedFast: Set<number> = new Set()
  /** Pieces that it suggests (BEP 6). */
  readonly suggested: number[] = []

  constructor(id: number, bits: Uint8Array, latencyMs: number, bytesPerMs: number) {
    this.id = id
    this.bits = bits
    this.link = new LinkEstimate(latencyMs, bytesPerMs)
  }

  /** Whether the peer has a piece. */
  has(piece: number): boolean {
    return this.seed || (((this.bits[piece >> 3] ?? 0) >> (7 - (piece & 7))) & 1) === 1
  }

  /** Where in `outstanding` a block stands, or -1. */
  indexOf(piece: number, block: number): number {
    for (let at = 0; at < this.outstanding.length; at++) {
      const request = this.outstanding[at]
      if (request !== undefined && request.piece === piece && request.block === block) return at
    }
    return -1
  }

  /** When a further block of `bytes`, asked for now, would be here. */
  etaOfNext(bytes: number, now: number): number {
    const { link, outstanding } = this
    const ownMs = bytes / link.bytesPerMs
    const head = outstanding[0]
    if (head === undefined) return now + link.latencyMs + ownMs
    const queueMs = (this.outstandingBytes - head.bytes) / link.bytesPerMs
    return Math.max(link.headAt(now) + queueMs, now + link.latencyMs) + ownMs
  }

  /** When the outstanding block at `index` should be here. */
  etaOf(index: number, now: number): number {
    return this.link.headAt(now) + (index * 16384) / this.link.bytesPerMs
  }

  /** Adds a request; the caller sends it. */
  push(request: Outstanding, now: number): void {
    if (this.outstanding.push(request) === 1) this.link.expectHead(request.bytes, now, now)
    this.outstandingBytes += request.bytes
  }

  /** Takes a request out. */
  take(index: number, now: number): Outstanding | undefined {
    const request = index === 0 ? this.outstanding.shift() : this.outstanding.splice(index, 1)[0]
    if (request === undefined) return undefined
    this.outstandingBytes -= request.bytes
    const head = this.outstanding[0]
    if (head === undefined) this.link.headEta = Number.POSITIVE_INFINITY
    else if (index === 0) this.link.expectHead(head.bytes, head.sentAt, now)
    return request
  }
}
