import { LazyMap, LazySet } from '../util/lazy-collections.ts'
import { blockKey } from './messages.ts'

/** A block that the peer asked for; `data` once we have answered and until it is on its way. */
export interface PeerRequest {
  readonly piece: number
  readonly offset: number
  readonly length: number
  data: Uint8Array | undefined
}

/**
 * What a peer asked for and has not got: every request is either unanswered, or answered and waits in order to be
 * sent. Each step costs the same however many there are.
 */
export class PeerRequests {
  /** Bytes of the answers that wait. */
  answerLength = 0
  /** Told of the data of each answer that is taken back. */
  onTakenBack: ((data: Uint8Array) => void) | undefined
  readonly #all = new LazyMap<number, PeerRequest>()
  readonly #answered = new LazySet<PeerRequest>()

  /** How many requests there are, answered or not. */
  get size(): number {
    return this.#all.size
  }

  /** Whether a block at this place was asked for. */
  has(piece: number, offset: number): boolean {
    return this.#all.has(blockKey(piece, offset))
  }

  /** Adds a request for a block that was not asked for yet. */
  add(piece: number, offset: number, length: number): void {
    this.#all.set(blockKey(piece, offset), { piece, offset, length, data: undefined })
  }

  /** Puts the data of a request into the queue of answers; false when it was not asked for, or is answered already. */
  answer(piece: number, offset: number, data: Uint8Array): boolean {
    const request = this.#all.get(blockKey(piece, offset))
    if (request === undefined || request.data !== undefined || request.length !== data.length) return false
    request.data = data
    this.#answered.add(request)
    this.answerLength += data.length
    return true
  }

  /** Takes the oldest answer out, or returns undefined. */
  next(): PeerRequest | undefined {
    for (const request of this.#answered) {
      this.#forget(request)
      return request
    }
    return undefined
  }

  /** Removes a request that is not on its way yet; false when there is none like it. */
  remove(piece: number, offset: number, length: number): boolean {
    const request = this.#all.get(blockKey(piece, offset))
    if (request === undefined || request.length !== length) return false
    this.#delete(request)
    return true
  }

  /** Removes all requests for pieces that are not in `kept` and returns them in their order. */
  removeAll(kept?: ReadonlySet<number>): PeerRequest[] {
    const removed: PeerRequest[] = []
    for (const request of this.#all.values()) {
      if (kept?.has(request.piece) === true) continue
      removed.push(request)
    }
    for (const request of removed) this.#delete(request)
    return removed
  }

  #delete(request: PeerRequest): void {
    this.#forget(request)
    if (request.data !== undefined) this.onTakenBack?.(request.data)
  }

  #forget(request: PeerRequest): void {
    this.#all.delete(blockKey(request.piece, request.offset))
    if (this.#answered.delete(request)) this.answerLength -= request.length
  }
}
