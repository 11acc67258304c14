import { debug, type Log } from '../util/debug.ts'
import { clientName } from './client-name.ts'
import type { WireDecoderHandler } from './decoder.ts'
import { MessageBatch } from './encoder.ts'
import type { Extensions } from './extensions.ts'
import {
  formatBitfield,
  formatExtended,
  formatExtendedHandshake,
  formatHandshake,
  formatKeepAlive,
  formatNumbers
} from './format-message.ts'
import { formatReserved, type HandshakeFlags, messageIds } from './messages.ts'
import type { PeerState } from './peer-state.ts'

export const log: Log = debug('wire')

/**
 * Logs a line for each message of a wire: the wire's id and the peer's client, `->` for sent or `<-` for received, and the message. It
 * wraps the wire's batch and decoder callbacks, so that a wire without a trace has no overhead.
 */
export class Trace {
  readonly #peer: PeerState
  readonly #extensions: Extensions
  #name: string

  /** `id` identifies the wire in the log. */
  constructor(id: number, peer: PeerState, extensions: Extensions) {
    this.#name = `${id}`
    this.#peer = peer
    this.#extensions = extensions
  }

  /** Returns a batch that logs each message as sent. */
  batch(): MessageBatch {
    return new TracedBatch(this)
  }

  /** Returns a handler that logs each message as received and passes it on to `inner`. */
  messages(inner: WireDecoderHandler): WireDecoderHandler {
    return new TracedMessages(this, inner)
  }

  /** Logs a sent message. */
  sent(message: string): void {
    log('%s -> %s', this.#name, message)
  }

  /** Logs a received message. */
  received(message: string): void {
    log('%s <- %s', this.#name, message)
  }

  /** Adds the name of the peer's client to later lines. */
  introduce(peerId: Uint8Array): void {
    const client = clientName(peerId)
    if (client !== undefined) this.#name += ` ${client}`
  }

  /** Formats a sent extended message; `id` is the peer's id for the extension. */
  sentExtension(id: number, payload: Uint8Array): string {
    if (id === 0) return formatExtendedHandshake(payload)
    const [name] = [...this.#peer.remoteIds].find(([, one]) => one === id) ?? [`extension-${id}`]
    return formatExtended(name, payload)
  }

  /** Formats a received extended message; `id` is our id for the extension. */
  receivedExtension(id: number, payload: Uint8Array): string {
    if (id === 0) return formatExtendedHandshake(payload)
    return formatExtended(this.#extensions.nameOf(id) ?? `extension-${id}`, payload)
  }
}

class TracedBatch extends MessageBatch {
  readonly #trace: Trace

  constructor(trace: Trace) {
    super()
    this.#trace = trace
  }

  override handshake(infoHash: Uint8Array, peerId: Uint8Array, flags: HandshakeFlags): void {
    if (log.enabled) this.#trace.sent(formatHandshake(formatReserved(flags), infoHash, peerId))
    super.handshake(infoHash, peerId, flags)
  }

  override keepAlive(): void {
    if (log.enabled) this.#trace.sent(formatKeepAlive())
    super.keepAlive()
  }

  override empty(id: number): void {
    if (log.enabled) this.#trace.sent(formatNumbers(id))
    super.empty(id)
  }

  override index(id: number, piece: number): void {
    if (log.enabled) this.#trace.sent(formatNumbers(id, piece))
    super.index(id, piece)
  }

  override range(id: number, piece: number, offset: number, length: number): void {
    if (log.enabled) this.#trace.sent(formatNumbers(id, piece, offset, length))
    super.range(id, piece, offset, length)
  }

  override port(port: number): void {
    if (log.enabled) this.#trace.sent(formatNumbers(messageIds.port, port))
    super.port(port)
  }

  override pieceHeader(piece: number, offset: number, length: number): void {
    if (log.enabled) this.#trace.sent(formatNumbers(messageIds.piece, piece, offset, length))
    super.pieceHeader(piece, offset, length)
  }

  override payload(id: number, payload: Uint8Array): void {
    if (log.enabled) this.#trace.sent(formatBitfield(payload))
    super.payload(id, payload)
  }

  override extended(extendedId: number, payload: Uint8Array): void {
    if (log.enabled) this.#trace.sent(this.#trace.sentExtension(extendedId, payload))
    super.extended(extendedId, payload)
  }
}

class TracedMessages implements WireDecoderHandler {
  readonly #trace: Trace
  readonly #inner: WireDecoderHandler

  constructor(trace: Trace, inner: WireDecoderHandler) {
    this.#trace = trace
    this.#inner = inner
  }

  onHandshake(reserved: Uint8Array, infoHash: Uint8Array, peerId: Uint8Array): void {
    this.#trace.introduce(peerId)
    if (log.enabled) this.#trace.received(formatHandshake(reserved, infoHash, peerId))
    this.#inner.onHandshake(reserved, infoHash, peerId)
  }

  onKeepAlive(): void {
    if (log.enabled) this.#trace.received(formatKeepAlive())
    this.#inner.onKeepAlive()
  }

  onEmpty(id: number): void {
    if (log.enabled) this.#trace.received(formatNumbers(id))
    this.#inner.onEmpty(id)
  }

  onIndex(id: number, piece: number): void {
    if (log.enabled) this.#trace.received(formatNumbers(id, piece))
    this.#inner.onIndex(id, piece)
  }

  onRange(id: number, piece: number, offset: number, length: number): number {
    if (log.enabled) this.#trace.received(formatNumbers(id, piece, offset, length))
    return this.#inner.onRange(id, piece, offset, length)
  }

  onBitfield(bytes: Uint8Array): void {
    if (log.enabled) this.#trace.received(formatBitfield(bytes))
    this.#inner.onBitfield(bytes)
  }

  onBlockStart(piece: number, offset: number, length: number): Uint8Array | undefined {
    return this.#inner.onBlockStart(piece, offset, length)
  }

  onBlock(piece: number, offset: number, data: Uint8Array, owned: boolean): void {
    if (log.enabled) this.#trace.received(formatNumbers(messageIds.piece, piece, offset, data.length))
    this.#inner.onBlock(piece, offset, data, owned)
  }

  onPort(port: number): void {
    if (log.enabled) this.#trace.received(formatNumbers(messageIds.port, port))
    this.#inner.onPort(port)
  }

  onExtended(id: number, payload: Uint8Array): void {
    if (log.enabled) this.#trace.received(this.#trace.receivedExtension(id, payload))
    this.#inner.onExtended(id, payload)
  }
}
