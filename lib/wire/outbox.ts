import { allBits } from '../util/bits.ts'
import { TorrentError } from '../util/errors.ts'
import { type MessageBatch, writeRequests } from './encoder.ts'
import { messageIds } from './messages.ts'
import type { OwnState } from './own-state.ts'
import type { PeerAnswer } from './peer-requests.ts'
import type { PeerState } from './peer-state.ts'
import { argumentError, check20Bytes, checkBytes, uint32Max, wholeNumber } from './wire-arguments.ts'

/** A stream that a fault closes. */
interface Destroyable {
  destroy(error: Error): void
}

/**
 * The messages to the peer that wait for the reader. Each method sends one kind; it does nothing once the wire is closed, and throws a
 * TorrentError (ERR_WIRE_ARGUMENT) for numbers that no message can hold, and before the handshake.
 */
export class Outbox {
  /** Whether the reader wants bytes and there were none. */
  hungry = false
  /** Bytes handed to the reader, of everything. */
  sent = 0
  /** Bytes of blocks handed to the reader. */
  blockBytesSent = 0
  readonly #own: OwnState
  readonly #peer: PeerState
  readonly #batch: MessageBatch
  readonly #wire: Destroyable
  readonly #flush: () => void
  #flushing = false

  /** An empty one; `flush` takes the messages of a turn once they are written, if the reader is hungry. */
  constructor(own: OwnState, peer: PeerState, batch: MessageBatch, wire: Destroyable, flush: () => void) {
    this.#own = own
    this.#peer = peer
    this.#batch = batch
    this.#wire = wire
    this.#flush = () => {
      this.#flushing = false
      if (this.hungry) flush()
    }
  }

  /** Bytes that wait. */
  get length(): number {
    return this.#batch.length
  }

  /** False once the wire is closed; throws before the handshake. */
  maySend(): boolean {
    if (this.#own.closed) return false
    if (!this.#own.handshakeSent) throw argumentError('handshake', 'none', 'sent first')
    return true
  }

  /** The handshake; once. */
  handshake(infoHash: Uint8Array, peerId: Uint8Array, dht: boolean): void {
    check20Bytes('infoHash', infoHash)
    check20Bytes('peerId', peerId)
    if (this.#own.closed || this.#own.handshakeSent) return
    this.#own.handshakeSent = true
    this.#batch.handshake(infoHash, peerId, { ...this.#own.flags, dht })
    this.schedule()
  }

  /** Whether we choke the peer; true when that is news. */
  choke(choking: boolean): boolean {
    if (this.#own.choking === choking || !this.maySend()) return false
    this.#own.choking = choking
    this.empty(choking ? messageIds.choke : messageIds.unchoke)
    return true
  }

  /** Whether we are interested; nothing when that is no news. */
  interest(interested: boolean): void {
    if (this.#own.interested === interested || !this.maySend()) return
    this.#own.interested = interested
    this.empty(interested ? messageIds.interested : messageIds.notInterested)
  }

  /** A message without numbers. */
  empty(id: number): void {
    if (!this.maySend()) return
    this.#batch.empty(id)
    this.schedule()
  }

  /** A message about a piece. */
  index(id: number, piece: number): void {
    if (!this.maySend()) return
    this.#batch.index(id, wholeNumber('piece', piece, 0, uint32Max))
    this.schedule()
  }

  /** A have for each piece; `canWait` leaves them for what is sent next. */
  haves(pieces: Iterable<number>, canWait: boolean): void {
    if (!this.maySend()) return
    if (!isIterable(pieces)) throw argumentError('pieces', pieces, 'numbers of pieces')
    for (const piece of pieces) this.#batch.index(messageIds.have, wholeNumber('piece', piece, 0, uint32Max))
    if (!canWait) this.schedule()
  }

  /** A request or a cancel. */
  range(id: number, piece: number, offset: number, length: number): void {
    if (!this.maySend()) return
    wholeNumber('piece', piece, 0, uint32Max)
    wholeNumber('offset', offset, 0, uint32Max)
    this.#batch.range(id, piece, offset, wholeNumber('length', length, 1, uint32Max))
    this.schedule()
  }

  /** A reject, as the peer spelled its request; nothing without the fast extension, or before our handshake. */
  reject(piece: number, offset: number, length: number): void {
    const { handshakeSent, closed } = this.#own
    if (!this.#peer.fast || !handshakeSent || closed) return
    this.#batch.range(messageIds.reject, piece, offset, length)
    this.schedule()
  }

  /** A request for each (piece, offset, length) of a flat list. */
  requests(list: ArrayLike<number>): void {
    const given: unknown = list
    if (typeof given !== 'object' || given === null) throw argumentError('list', list, 'a list of numbers')
    if (list.length % 3 !== 0) throw argumentError('list.length', list.length, 'a multiple of 3')
    if (!this.maySend()) return
    writeRequests(this.#batch, list)
    this.schedule()
  }

  /** Have all, as a bitfield without the fast extension. */
  haveAll(): void {
    if (!this.maySend()) return
    const { fast, pieces } = this.#peer
    if (fast) this.empty(messageIds.haveAll)
    else if (pieces.count !== undefined) this.bitfield(allBits(pieces.count))
    else throw argumentError('pieceCount', undefined, 'known for a bitfield of all pieces')
  }

  /** Have none; nothing without the fast extension. */
  haveNone(): void {
    if (this.maySend() && this.#peer.fast) this.empty(messageIds.haveNone)
  }

  /** A suggestion; nothing without the fast extension. */
  suggest(piece: number): void {
    if (this.maySend() && this.#peer.fast) this.index(messageIds.suggest, piece)
  }

  /** A bitfield, copied. */
  bitfield(bytes: Uint8Array): void {
    checkBytes('bytes', bytes)
    if (!this.maySend()) return
    this.#batch.payload(messageIds.bitfield, bytes)
    this.schedule()
  }

  /** The port of our DHT node. */
  port(port: number): void {
    wholeNumber('port', port, 0, 65535)
    if (!this.maySend()) return
    this.#batch.port(port)
    this.schedule()
  }

  /** A message that says nothing. */
  keepAlive(): void {
    if (!this.maySend()) return
    this.#batch.keepAlive()
    this.schedule()
  }

  /** A message of an extension, by the peer's id for it; the payload is copied. */
  extended(id: number, payload: Uint8Array): void {
    this.#batch.extended(id, payload)
    this.schedule()
  }

  /** Sends what could wait. */
  flush(): void {
    if (this.#batch.length > 0 && this.maySend()) this.schedule()
  }

  /** Takes out all that waits, followed by the header of an answer. */
  take(answer: PeerAnswer | undefined): Uint8Array | undefined {
    if (answer !== undefined) {
      this.#batch.pieceHeader(answer.piece, answer.offset, answer.length)
      this.blockBytesSent += answer.length
      this.sent += answer.length
    }
    const bytes = this.#batch.take()
    if (bytes === undefined) return undefined
    this.hungry = false
    this.sent += bytes.length
    return bytes
  }

  /** Forgets what waits. */
  clear(): void {
    this.#batch.clear()
  }

  /** Hands over the messages of this turn of the event loop together. */
  schedule(): void {
    const { length } = this.#batch
    if (length > this.#own.limits.controlLengthMax) {
      const message = `the peer left ${length} bytes of control messages unread`
      this.#wire.destroy(new TorrentError('ERR_WIRE_LIMIT', message))
      return
    }
    if (!this.hungry || this.#flushing) return
    this.#flushing = true
    queueMicrotask(this.#flush)
  }
}

function isIterable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}
