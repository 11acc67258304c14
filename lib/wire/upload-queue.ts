import { TorrentError } from '../util/errors.ts'
import { notify } from '../util/user-code.ts'
import { messageIds } from './messages.ts'
import type { Outbox } from './outbox.ts'
import type { OwnState } from './own-state.ts'
import type { RequestReceiver } from './peer-messages.ts'
import { type PeerAnswer, type PeerRequest, PeerRequests } from './peer-requests.ts'
import type { PeerState } from './peer-state.ts'
import { checkBytes } from './wire-arguments.ts'
import type { WireEvents } from './wire-events.ts'

/**
 * Requests for fewer bytes are short. Each costs as much to answer as a request for a whole block, so `answerCost` is charged. For the last
 * block of a piece, which may have to be short, it is charged only if the request is cancelled.
 */
const shortRequest = 4096
/** Cost of an answer in bytes of credit; `handling.ts` counts a million bytes as one millisecond. */
const answerCost = 16_000

/** The part of a wire that an {@link UploadQueue} uses. */
export interface UploadMediator {
  emit<E extends keyof WireEvents>(name: E, ...values: WireEvents[E]): unknown
  destroy(error: Error): void
  readonly answerLeft: ((data: Uint8Array, sent: boolean) => void) | undefined
}

/** Accepts or rejects the requests of a peer, and queues the answers until the wire's readable side is read. */
export class UploadQueue implements RequestReceiver {
  readonly #own: OwnState
  readonly #peer: PeerState
  readonly #outbox: Outbox
  readonly #wire: UploadMediator
  readonly #requests = new PeerRequests()
  #chokedRequests = 0
  /** Whether the caller of `answer` waits for `sendable`. */
  #sendHeld = false

  /** Creates an empty queue. */
  constructor(own: OwnState, peer: PeerState, outbox: Outbox, wire: UploadMediator) {
    this.#own = own
    this.#peer = peer
    this.#outbox = outbox
    this.#wire = wire
    this.#requests.onDiscarded = (data) => notify(wire.answerLeft, data, false)
  }

  /** Number of queued requests, answered or not. */
  get size(): number {
    return this.#requests.size
  }

  /** Bytes of the answers that wait to be sent. */
  get answerLength(): number {
    return this.#requests.answerLength
  }

  /** The oldest request that waits for an answer, or undefined. */
  get oldest(): PeerRequest | undefined {
    return this.#requests.oldest
  }

  /** See `Wire.requestAhead`. */
  ahead(count: number): PeerRequest | undefined {
    return this.#requests.ahead(count)
  }

  request(piece: number, offset: number, length: number): number {
    const { limits, choking, granted } = this.#own
    const choked = choking && granted?.has(piece) !== true
    if (choked && ++this.#chokedRequests > limits.chokedRequests) {
      const message = 'the peer keeps sending requests although it is choked'
      this.#wire.destroy(new TorrentError('ERR_WIRE_LIMIT', message))
      return 0
    }
    if (this.#requests.has(piece, offset)) return 0
    if (choked || this.#peer.pieces.count === undefined || this.#requests.size >= limits.requestQueue) {
      this.#outbox.reject(piece, offset, length)
      return 0
    }
    this.#requests.add(piece, offset, length)
    this.#wire.emit('request', piece, offset, length)
    return this.#isShort(piece, offset, length) ? length - answerCost : length
  }

  oddRequest(piece: number, offset: number, length: number): void {
    this.#outbox.reject(piece, offset, length)
  }

  cancel(piece: number, offset: number, length: number): number {
    if (!this.#requests.remove(piece, offset, length)) return 0
    this.#outbox.reject(piece, offset, length)
    this.#wire.emit('cancel', piece, offset, length)
    this.offerRoom()
    return length < shortRequest && !this.#isShort(piece, offset, length) ? -length - answerCost : -length
  }

  /** Chokes or unchokes the peer. A choke rejects all queued requests except those for allowed-fast pieces. */
  choke(choking: boolean): void {
    if (!this.#outbox.choke(choking)) return
    this.#chokedRequests = 0
    if (!choking) return
    const { granted } = this.#own
    this.refuse(({ piece }) => granted?.has(piece) !== true)
  }

  /** Allows the peer to request a piece while it is choked (BEP 6). */
  grant(piece: number): void {
    if (!this.#outbox.maySend() || !this.#peer.fast) return
    this.#own.granted ??= new Set()
    this.#own.granted.add(piece)
    this.#outbox.index(messageIds.allowedFast, piece)
  }

  /** Answers a request; false asks the caller to wait for `sendable`. */
  answer(piece: number, offset: number, data: Uint8Array): boolean {
    checkBytes('data', data)
    if (this.#requests.answer(piece, offset, data)) this.#outbox.schedule()
    else notify(this.#wire.answerLeft, data, false)
    if (this.#requests.answerLength < this.#own.limits.answerLength) return true
    this.#sendHeld = true
    return false
  }

  /** Rejects a request; does nothing if it is not queued. */
  reject(piece: number, offset: number, length: number): void {
    if (!this.#requests.remove(piece, offset, length)) return
    this.#outbox.reject(piece, offset, length)
    this.offerRoom()
  }

  /** Rejects all queued requests for which `which` returns true. */
  refuse(which: (request: PeerRequest, isAnswered: boolean) => boolean): void {
    for (const { piece, offset, length } of this.#requests.removeAll(which))
      this.#outbox.reject(piece, offset, length)
    this.offerRoom()
  }

  /** See `Wire.putOff`. */
  putOff(piece: number, offset: number): void {
    this.#requests.putOff(piece, offset)
  }

  /** See `Wire.putBack`. */
  putBack(): PeerRequest[] {
    return this.#requests.putBack()
  }

  /** Removes and returns the oldest answer, or undefined. */
  next(): PeerAnswer | undefined {
    return this.#requests.next()
  }

  /** Emits `sendable` if the caller of `answer` waits and there is room. */
  offerRoom(): void {
    const { closed, limits } = this.#own
    if (!this.#sendHeld || closed || this.#requests.answerLength > limits.answerLength / 2) return
    this.#sendHeld = false
    this.#wire.emit('sendable')
  }

  /** Discards all requests. */
  clear(): void {
    this.#requests.removeAll()
  }

  /** Whether a request is shorter than its piece requires. */
  #isShort(piece: number, offset: number, length: number): boolean {
    return length < shortRequest && !this.#peer.isLastBlock(piece, offset, length)
  }
}
