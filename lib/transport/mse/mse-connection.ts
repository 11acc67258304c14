import type {
  Connection,
  ConnectionEncryption,
  ConnectionHandler,
  TransportName
} from '../../net/connection.ts'
import type { PeerAddress } from '../../util/address.ts'
import { asError } from '../../util/errors.ts'
import type { Agreement, MseHandshake } from './mse-handshake.ts'

const nothing = new Uint8Array()

/**
 * A connection behind an MSE handshake, of either side and over any transport. Bytes written before the
 * handshake is done wait for it; the side that dials sends them along. Received bytes are deciphered in place,
 * in memory that the inner connection lends; sent ones are copied, because blocks are shared among peers.
 *
 * If the payload is plain, the handler moves to the inner connection, and reading costs nothing here.
 */
export class MseConnection implements Connection, ConnectionHandler {
  readonly #inner: Connection
  readonly #head: Uint8Array | undefined
  /** Undefined once it is done. */
  #handshake: MseHandshake | undefined
  #heard: MseHandshake['heard'] = 'nothing'
  #agreement: Agreement | undefined
  #handler: ConnectionHandler | undefined
  #isStarted = false
  #isClosed = false
  #isPaused = false
  /** Whether the handler has moved to the inner connection. */
  #isAside = false
  /** Following bytes that are enciphered although the payload is plain. */
  #enciphered = 0
  /** Deciphered bytes that came while paused. */
  #held: Uint8Array | undefined
  /** Bytes that wait for the handshake. */
  #waiting: Uint8Array[] = []
  #isUndrained = false

  /** Wraps a connection, of which `head` was already read. The handshake begins with `start`. */
  constructor(inner: Connection, handshake: MseHandshake, head?: Uint8Array) {
    this.#inner = inner
    this.#handshake = handshake
    this.#head = head
  }

  get remote(): PeerAddress {
    return this.#inner.remote
  }

  get incoming(): boolean {
    return this.#inner.incoming
  }

  get transport(): TransportName {
    return this.#inner.transport
  }

  get encryption(): ConnectionEncryption {
    return this.#agreement?.method === 'rc4' ? 'rc4' : 'handshake'
  }

  /** How far the peer has answered; see {@link MseHandshake}. */
  get heard(): MseHandshake['heard'] {
    return this.#heard
  }

  get bytesQueued(): number {
    let waiting = 0
    for (const { length } of this.#waiting) waiting += length
    return waiting + this.#inner.bytesQueued
  }

  get receiveLength(): number {
    return this.#inner.receiveLength ?? Number.POSITIVE_INFINITY
  }

  set receiveLength(length: number) {
    if (this.#inner.receiveLength !== undefined) this.#inner.receiveLength = length
  }

  start(handler: ConnectionHandler, head?: Uint8Array): void {
    this.#handler = handler
    if (this.#isAside) this.#inner.start(handler, head)
    else if (this.#isStarted) {
      if (head !== undefined) this.#deliver(head)
      // A connection that has closed tells the new handler, too.
      if (this.#isClosed) this.#inner.start(this)
    } else {
      this.#isStarted = true
      const first = this.#handshake?.begin()
      if (first !== undefined && first.length > 0) this.#inner.write([first])
      this.#inner.start(this, this.#head)
    }
  }

  pause(): void {
    this.#isPaused = true
    this.#inner.pause()
  }

  resume(): void {
    this.#isPaused = false
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) this.#deliver(held)
    if (!this.#isPaused) this.#inner.resume()
  }

  write(buffers: readonly Uint8Array[]): boolean {
    if (this.#isClosed) return true
    const agreement = this.#agreement
    if (agreement !== undefined) return this.#send(agreement, buffers)
    // It is copied because it may wait for longer than the caller expects.
    for (const buffer of buffers) this.#waiting.push(new Uint8Array(buffer))
    this.#isUndrained = true
    return false
  }

  close(error?: Error): void {
    this.#inner.close(error)
  }

  onReceive(chunk: Uint8Array): boolean {
    if (this.#handshake !== undefined) this.#shakeHands(this.#handshake, chunk)
    else if (this.#agreement !== undefined) this.#decipher(this.#agreement, chunk)
    return !this.#isPaused && !this.#isClosed
  }

  onDrain(): void {
    if (this.#agreement === undefined) return
    this.#isUndrained = false
    this.#handler?.onDrain()
  }

  onClose(error?: Error): void {
    this.#isClosed = true
    this.#waiting = []
    this.#handler?.onClose(error)
  }

  #shakeHands(handshake: MseHandshake, chunk: Uint8Array): void {
    let reply: Uint8Array
    try {
      reply = handshake.receive(chunk, () => this.#takeWaiting())
    } catch (error) {
      this.#isClosed = true
      this.#inner.close(asError(error))
      return
    } finally {
      this.#heard = handshake.heard
    }
    if (reply.length > 0) this.#inner.write([reply])
    const { agreement } = handshake
    if (agreement === undefined) return
    this.#handshake = undefined
    this.#agreement = { ...agreement, rest: nothing }
    this.#enciphered = agreement.enciphered
    const waiting = this.#takeWaiting()
    if (waiting.length > 0) this.#send(agreement, [waiting])
    if (this.#isUndrained) this.onDrain()
    this.#decipher(agreement, agreement.rest)
  }

  #takeWaiting(): Uint8Array {
    const [first = nothing, ...others] = this.#waiting
    this.#waiting = []
    return others.length === 0 ? first : Buffer.concat([first, ...others])
  }

  #send({ method, sending }: Agreement, buffers: readonly Uint8Array[]): boolean {
    if (method === 'plain') return this.#inner.write(buffers)
    let length = 0
    for (const buffer of buffers) length += buffer.length
    const copy = Buffer.allocUnsafe(length)
    let at = 0
    for (const buffer of buffers) {
      sending.apply(buffer, copy.subarray(at, at + buffer.length))
      at += buffer.length
    }
    return this.#inner.write([copy])
  }

  #decipher({ method, receiving }: Agreement, chunk: Uint8Array): void {
    if (method === 'rc4') {
      receiving.apply(chunk)
      if (chunk.length > 0) this.#deliver(chunk)
      return
    }
    const initial = chunk.subarray(0, this.#enciphered)
    this.#enciphered -= initial.length
    receiving.apply(initial)
    if (initial.length > 0) this.#deliver(initial)
    if (this.#enciphered > 0 || this.#isClosed) return
    this.#stepAside(chunk.subarray(initial.length))
  }

  /** Moves the handler to the inner connection, with bytes that it has not received yet. */
  #stepAside(rest: Uint8Array): void {
    const handler = this.#handler
    if (handler === undefined) return
    this.#isAside = true
    const held = this.#held
    this.#held = undefined
    const head = held === undefined ? rest : Buffer.concat([held, rest])
    this.#inner.start(handler, head.length === 0 ? undefined : new Uint8Array(head))
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#isPaused) {
      this.#held = this.#held === undefined ? new Uint8Array(bytes) : Buffer.concat([this.#held, bytes])
    } else if (this.#handler?.onReceive(bytes) !== true && !this.#isAside) this.#isPaused = true
  }
}
