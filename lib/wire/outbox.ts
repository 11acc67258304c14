import { allBits } from '../util/bits.ts'
import { TorrentError } from '../util/errors.ts'
import { type MessageBatch, writeRequests } from './encoder.ts'
import { messageIds } from './messages.ts'
import type { OwnState } from './own-state.ts'
import type { PeerAnswer } from './peer-requests.ts'
import type { PeerState } from './peer-state.ts'
import { argumentError, check20Bytes, checkBytes, uint32Max, wholeNumber } from './wire-arguments.ts'

/** A stream that can be destroyed with an error. */
interface Destroyable {
  destroy(error: Error): void
}

/**
 * Messages to the peer that wait for the reader: the consumer of the wire's readable side, such as `join` or a pipe to the socket. Each
 * method writes one kind of message. It does nothing once the wire is closed, and throws a TorrentError (ERR_WIRE_ARGUMENT) before the
 * handshake and for numbers out of range.
 */
export class Outbox {
  /** Whether the reader waits for bytes. */
  hungry = false
  /** Total bytes handed to the reader. */
  sent = 0
  /** Bytes of blocks handed to the reader. */
  blockBytesSent = 0
  readonly #own: OwnState
  readonly #peer: PeerState
  readonly #batch: MessageBatch
  readonly #wire: Destroyable
  readonly #flush: () => void
  #flushing = false

  /** Creates an empty outbox. `flush` is called as a microtask after messages were written, if the reader is hungry. */
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

  /** Bytes waiting for the reader. */
  get length(): number {
    return this.#batch.length
  }

  /** Returns false once the wire is closed; throws before our handshake. */
  maySend(): boolean {
    if (this.#own.closed) return false
    if (!this.#own.handshakeSent) throw argumentError('handshake', 'none', 'sent first')
    return true
  }

  /** Writes the handshake; later calls do nothing. */
  handshake(infoHash: Uint8Array, peerId: Uint8Array, dht: boolean): void {
    check20Bytes('infoHash', infoHash)
    check20Bytes('peerId', peerId)
    if (this.#own.closed || this.#own.handshakeSent) return
    this.#own.handshakeSent = true
    this.#batch.handshake(infoHash, peerId, { ...this.#own.flags, dht })
    this.schedule()
  }

  /** Writes choke or unchoke if the state changes; returns whether it did. */
  choke(choking: boolean): boolean {
    if (this.#own.choking === choking || !this.maySend()) return false
    this.#own.choking = choking
    this.empty(choking ? messageIds.choke : messageIds.unchoke)
    return true
  }

  /** Writes interested or not interested if the state changes. */
  interest(interested: boolean): void {
    if (this.#own.interested === interested || !this.maySend()) return
    this.#own.interested = interested
    this.empty(interested ? messageIds.interested : messageIds.notInterested)
  }

  /** Writes a message without payload. */
  empty(id: number): void {
    if (!this.maySend()) return
    this.#batch.empty(id)
    this.schedule()
  }

  /** Writes a message about a piece. */
  index(id: number, piece: number): void {
    if (!this.maySend()) return
    this.#batch.index(id, wholeNumber('piece', piece, 0, uint32Max))
    this.schedule()
  }

  /** Writes a have for each piece; with `canWait`, they leave with the next message. */
  haves(pieces: Iterable<number>, canWait: boolean): void {
    if (!this.maySend()) return
    if (!isIterable(pieces)) throw argumentError('pieces', pieces, 'numbers of pieces')
    for (const piece of pieces) this.#batch.index(messageIds.have, wholeNumber('piece', piece, 0, uint32Max))
    if (!canWait) this.schedule()
  }

  /** Writes a request or cancel. */
  range(id: number, piece: number, offset: number, length: number): void {
    if (!this.maySend()) return
    wholeNumber('piece', piece, 0, uint32Max)
    wholeNumber('offset', offset, 0, uint32Max)
    this.#batch.range(id, piece, offset, wholeNumber('length', length, 1, uint32Max))
    this.schedule()
  }

  /** Writes a reject with the unchecked numbers of the request; does nothing without the fast extension or before our handshake. */
  reject(piece: number, offset: number, length: number): void {
    const { handshakeSent, closed } = this.#own
    if (!this.#peer.fast || !handshakeSent || closed) return
    this.#batch.range(messageIds.reject, piece, offset, length)
    this.schedule()
  }

  /** Writes a request for each (piece, offset, length) of a flat list. */
  requests(list: ArrayLike<number>): void {
    const given: unknown = list
    if (typeof given !== 'object' || given === null) throw argumentError('list', list, 'a list of numbers')
    if (list.length % 3 !== 0) throw argumentError('list.length', list.length, 'a multiple of 3')
    if (!this.maySend()) return
    writeRequests(this.#batch, list)
    this.schedule()
  }

  /** Writes have all; a full bitfield without the fast extension. */
  haveAll(): void {
    if (!this.maySend()) return
    const { fast, pieces } = this.#peer
    if (fast) this.empty(messageIds.haveAll)
    else if (pieces.count !== undefined) this.bitfield(allBits(pieces.count))
    else throw argumentError('pieceCount', undefined, 'known for a bitfield of all pieces')
  }

  /** Writes have none; does nothing without the fast extension. */
  haveNone(): void {
    if (this.maySend() && this.#peer.fast) this.empty(messageIds.haveNone)
  }

  /** Writes a suggest; does nothing without the fast extension. */
  suggest(piece: number): void {
    if (this.maySend() && this.#peer.fast) this.index(messageIds.suggest, piece)
  }

  /** Writes a bitfield, which is copied. */
  bitfield(bytes: Uint8Array): void {
    checkBytes('bytes', bytes)
    if (!this.maySend()) return
    this.#batch.payload(messageIds.bitfield, bytes)
    this.schedule()
  }

  /** Writes the port of our DHT node. */
  port(port: number): void {
    wholeNumber('port', port, 0, 65535)
    if (!this.maySend()) return
    this.#batch.port(port)
    this.schedule()
  }

  /** Writes a keep-alive. */
  keepAlive(): void {
    if (!this.maySend()) return
    this.#batch.keepAlive()
    this.schedule()
  }

  /** Writes a message of an extension with the peer's id for it; the payload is copied. */
  extended(id: number, payload: Uint8Array): void {
    this.#batch.extended(id, payload)
    this.schedule()
  }

  /** Schedules messages that were written with `canWait`. */
  flush(): void {
    if (this.#batch.length > 0 && this.maySend()) this.schedule()
  }

  /** Takes all waiting messages, followed by the piece header of `answer`; returns undefined if there are none. */
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

  /** Discards waiting messages. */
  clear(): void {
    this.#batch.clear()
  }

  /** Schedules one flush for all messages of this turn of the event loop. */
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
