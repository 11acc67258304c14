import { isBytes } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { asError } from '../util/errors.ts'
import { callListeners, notify } from '../util/user-code.ts'
import { MessageBatch } from './encoder.ts'
import { type ExtendedHandshakeFields, encodeExtendedHandshake } from './extended-handshake.ts'
import type { WireExtension } from './extension.ts'
import { Extensions } from './extensions.ts'
import { Inbox } from './inbox.ts'
import { messageIds } from './messages.ts'
import { Outbox } from './outbox.ts'
import { OwnState } from './own-state.ts'
import { PeerFaults } from './peer-faults.ts'
import { PeerMessages } from './peer-messages.ts'
import type { PeerRequest } from './peer-requests.ts'
import { PeerState } from './peer-state.ts'
import { log, Trace } from './trace.ts'
import { UploadQueue } from './upload-queue.ts'
import { argumentError, checkBytes, limitsOf, wholeNumber } from './wire-arguments.ts'
import type { WireEvents, WireOptions } from './wire-events.ts'
import { nextWireId, WireState } from './wire-state.ts'

/**
 * The peer wire protocol (BEP 3, 5, 6, 10) as a Duplex stream: write the peer's bytes to it and read ours from it, as in
 * `socket.pipe(wire).pipe(socket)`. "The reader" is the consumer of its readable side. Received messages are events, and methods send
 * messages. The messages of one turn of the event loop leave as one buffer, before waiting blocks. A peer that breaks the protocol or
 * exceeds a limit destroys the wire with a TorrentError (ERR_WIRE_PROTOCOL, ERR_WIRE_LIMIT). Harmless invalid messages, such as requests
 * outside the torrent, are ignored up to a limit. An `error` without a listener is dropped. Methods do nothing once the wire is destroyed.
 */
export class Wire extends WireState {
  /**
   * Called when the header of a block arrives. Returns memory of exactly `length` bytes to receive the block into, or undefined. If the
   * wire closes before the block is complete, it drops the memory without a call.
   */
  blockTarget: ((piece: number, offset: number, length: number) => Uint8Array | undefined) | undefined
  /** Called once for the data of each answer: when it was handed to the reader (`sent` is true), or once it never will be. */
  answerLeft: ((data: Uint8Array, sent: boolean) => void) | undefined
  /**
   * Called with the milliseconds spent on the peer's messages and on closing, net of accepted requests and of blocks received into memory
   * from `blockTarget`. Returns the milliseconds to wait before more is handled; `Infinity` closes the wire (ERR_WIRE_LIMIT).
   */
  onHandled: ((ms: number) => number) | undefined
  readonly #own: OwnState
  readonly #peer: PeerState
  readonly #faults: PeerFaults
  readonly #extensions = new Extensions()
  readonly #outbox: Outbox
  readonly #uploads: UploadQueue
  readonly #inbox: Inbox
  #isOfClient = false

  /** Creates a wire before both handshakes. */
  constructor(options: WireOptions = {}) {
    const limits = limitsOf(options)
    const { fast = true, extended = true, dht = false, pieceCount, pieceLength, totalLength } = options
    if (pieceCount !== undefined) wholeNumber('pieceCount', pieceCount, 0, limits.pieceCount)
    const id = nextWireId()
    const own = new OwnState({ fast, extended, dht }, limits)
    const faults = new PeerFaults(limits, id)
    const peer = new PeerState(limits.pieceCount, faults, pieceCount, { pieceLength, totalLength })
    super(id, own, peer)
    this.#own = own
    this.#peer = peer
    this.#faults = faults
    const trace = log.enabled ? new Trace(id, peer, this.#extensions) : undefined
    this.#outbox = new Outbox(own, peer, trace?.batch() ?? new MessageBatch(), this, () => this.#pull())
    this.#uploads = new UploadQueue(own, peer, this.#outbox, this)
    const messages = new PeerMessages(own, peer, faults, this.#uploads, this.#extensions, this)
    this.#inbox = new Inbox(own, trace?.messages(messages) ?? messages, this.#outbox, this)
  }

  /** @internal Creates a wire whose listeners belong to piecewise: an exception from one closes the wire. */
  static ofClient(options?: WireOptions): Wire {
    const wire = new Wire(options)
    wire.#isOfClient = true
    return wire
  }

  /** The peer's oldest unanswered request, which is to be answered next, or undefined. */
  get oldestRequest(): PeerRequest | undefined {
    return this.#uploads.oldest
  }

  /** Returns the request `count` places after `oldestRequest`, or the newest, as a hint for reading ahead; undefined if it is not waiting. */
  requestAhead(count: number): PeerRequest | undefined {
    return this.#uploads.ahead(count)
  }

  /** Number of queued requests of the peer, answered or not. */
  get peerRequests(): number {
    return this.#uploads.size
  }

  /** Total bytes received. */
  get received(): number {
    return this.#inbox.received
  }

  /** Total bytes handed to the reader. */
  get sent(): number {
    return this.#outbox.sent
  }

  /** Bytes of blocks handed to the reader. */
  get blockBytesSent(): number {
    return this.#outbox.blockBytesSent
  }

  /** Bytes of control messages and answers that wait for the reader. */
  get bytesQueued(): number {
    return this.#outbox.length + this.#uploads.answerLength
  }

  /**
   * Sets the piece count once it is known. Checks earlier messages about pieces, and emits `bitfield` if there were any. With lengths,
   * requests and blocks beyond the end of a piece are detected too.
   */
  setPieceCount(count: number, pieceLength?: number, totalLength?: number): void {
    wholeNumber('pieceCount', count, 0, this.#own.limits.pieceCount)
    this.#peer.setLengths({ pieceLength, totalLength })
    this.#tolerate(() => {
      if (this.#peer.pieces.setCount(count)) this.emit('bitfield')
    })
  }

  /**
   * Decodes a chunk, which is borrowed for the call, and emits its messages; never throws. False asks the caller to wait for
   * `receivable`, because the peer does not read our replies or its messages take too much CPU time.
   */
  receive(chunk: Uint8Array): boolean {
    return this.#inbox.receive(chunk)
  }

  /**
   * Removes a piece from `peerPieces` and emits `dont-have` if the peer had it (`lt_donthave`, BEP 54). A piece that does not exist counts
   * as an odd message.
   */
  peerLost(piece: number): void {
    this.#tolerate(() => {
      if (this.#peer.pieces.lose(piece)) this.emit('dont-have', piece)
    })
  }

  /**
   * Counts an invalid message that an extension ignored; `what` describes it in the error. Too many close the wire (ERR_WIRE_PROTOCOL,
   * see `limits.oddMessages`).
   */
  oddMessage(what: string): void {
    this.#tolerate(() => this.#faults.oddMessage(what))
  }

  /** Detaches the block being received from the memory of `blockTarget`; the block then arrives as borrowed data. */
  detachBlock(): void {
    this.#inbox.detachBlock()
  }

  /**
   * Sends our handshake (BEP 3), which must be the first message; `infoHash` and `peerId` have 20 bytes. `dht` overrides the option, for a
   * wire that was created before its torrent was known.
   */
  handshake(infoHash: Uint8Array, peerId: Uint8Array, dht: boolean = this.#own.flags.dht): void {
    this.#outbox.handshake(infoHash, peerId, dht)
  }

  /**
   * Chokes the peer and drops its queued requests. With the fast extension, each is rejected, and requests for allowed-fast pieces stay.
   */
  choke(): void {
    this.#uploads.choke(true)
  }

  /** Unchokes the peer. */
  unchoke(): void {
    this.#uploads.choke(false)
  }

  /** Sends interested, if the state changes. */
  interested(): void {
    this.#outbox.interest(true)
  }

  /** Sends not interested, if the state changes. */
  notInterested(): void {
    this.#outbox.interest(false)
  }

  /** Sends a have. */
  have(piece: number): void {
    this.#outbox.index(messageIds.have, piece)
  }

  /** Sends a have for each piece; with `canWait`, they leave with the next message or `flush`. */
  haveMany(pieces: Iterable<number>, canWait = false): void {
    this.#outbox.haves(pieces, canWait)
  }

  /** Sends haves that were written with `canWait`. */
  flush(): void {
    this.#outbox.flush()
  }

  /** Sends our bitfield (copied), one bit per piece. Send it once, before any have. */
  bitfield(bytes: Uint8Array): void {
    this.#outbox.bitfield(bytes)
  }

  /** Sends have all; a full bitfield without the fast extension. */
  haveAll(): void {
    this.#outbox.haveAll()
  }

  /** Sends have none. Does nothing without the fast extension, where no bitfield means no pieces. */
  haveNone(): void {
    this.#outbox.haveNone()
  }

  /** Sends a request for a block. */
  request(piece: number, offset: number, length: number): void {
    this.#outbox.range(messageIds.request, piece, offset, length)
  }

  /** Sends a request for each (piece, offset, length) of a flat list. */
  requests(list: ArrayLike<number>): void {
    this.#outbox.requests(list)
  }

  /** Cancels a request. The block may still arrive; with the fast extension, either the block or a reject does. */
  cancel(piece: number, offset: number, length: number): void {
    this.#outbox.range(messageIds.cancel, piece, offset, length)
  }

  /**
   * Answers a request of the peer; does nothing if the peer has cancelled it. Waiting answers are sent in the order of their requests.
   * `data` is not copied and must not change until it is sent (see `answerLeft`). False asks the caller to wait for `sendable`.
   */
  piece(piece: number, offset: number, data: Uint8Array): boolean {
    return this.#uploads.answer(piece, offset, data)
  }

  /** Rejects a request of the peer; drops it without the fast extension. Does nothing if there is no such request. */
  reject(piece: number, offset: number, length: number): void {
    this.#uploads.reject(piece, offset, length)
  }

  /** Postpones a request of the peer: `oldestRequest` skips it until `putBack`. */
  putOff(piece: number, offset: number): void {
    this.#uploads.putOff(piece, offset)
  }

  /** Resumes all postponed requests and returns them. */
  putBack(): PeerRequest[] {
    return this.#uploads.putBack()
  }

  /** Rejects all queued requests of the peer, answered or not; drops them without the fast extension. */
  rejectAll(): void {
    this.#uploads.refuse(() => true)
  }

  /** Rejects all unanswered requests for one piece. */
  rejectPiece(piece: number): void {
    this.#uploads.refuse((request, isAnswered) => request.piece === piece && !isAnswered)
  }

  /** Suggests a piece to the peer (BEP 6); does nothing without the fast extension. */
  suggest(piece: number): void {
    this.#outbox.suggest(piece)
  }

  /** Allows the peer to request a piece while it is choked (BEP 6); does nothing without the fast extension. */
  allowedFast(piece: number): void {
    this.#uploads.grant(piece)
  }

  /** Sends the UDP port of our DHT node (BEP 5). */
  port(port: number): void {
    this.#outbox.port(port)
  }

  /** Sends a keep-alive. */
  keepAlive(): void {
    this.#outbox.keepAlive()
  }

  /** Attaches an extension (BEP 10). Call it before `extendedHandshake`, which announces the extension. */
  use<T extends WireExtension>(extension: T): T {
    this.#extensions.add(extension)
    if (this.#peer.remote !== undefined) extension.onHandshake?.(this.#peer.remote)
    return extension
  }

  /** Sends our extended handshake (BEP 10); may be repeated. Does nothing if the peer does not support the protocol. */
  extendedHandshake(fields: ExtendedHandshakeFields = {}): void {
    const given: unknown = fields
    if (typeof given !== 'object' || given === null) throw argumentError('fields', fields, 'an object')
    if (!this.#outbox.maySend() || !this.#peer.extended) return
    const maxRequests = fields.maxRequests ?? this.#own.limits.requestQueue
    this.#outbox.extended(0, encodeExtendedHandshake({ ...fields, maxRequests }, this.#extensions.ids()))
  }

  /** Sends a payload (copied) to the peer's extension of that name (BEP 10); returns false if the peer does not support it. */
  extended(name: string, payload: Uint8Array): boolean {
    checkBytes('payload', payload)
    const id = this.#peer.remoteIds.get(name)
    if (id === undefined || id === 0 || !this.#outbox.maySend()) return false
    this.#outbox.extended(id, payload)
    return true
  }

  /**
   * @internal Keeps exceptions of listeners away from the decoder, unless `ofClient` made the wire. Always drops `error` without a
   * listener, so that a peer cannot crash the program.
   */
  override emit<E extends keyof WireEvents>(event: E, ...values: WireEvents[E]): boolean {
    if (event === 'error' && log.enabled) log('%d closed: %s', this.id, asError(values[0]).message)
    if (event === 'close') return this.#emitClose()
    if (!this.#isOfClient) return callListeners(this, event, values)
    return (event !== 'error' || this.listenerCount('error') > 0) && super.emit(event, ...values)
  }

  override _write(data: unknown, done: (error: Error | null) => void): void {
    if (!isBytes(data)) done(argumentError('data', typeof data, 'a Uint8Array'))
    else if (this.#inbox.receive(data)) done(null)
    else this.#inbox.whenReceivable(() => done(null))
  }

  override _read(done: (error: Error | null) => void): void {
    this.#outbox.hungry = true
    this.#pull()
    done(null)
  }

  // The peer ended its side. BitTorrent has no half-open connections, so end ours too.
  override _final(done: (error: Error | null) => void): void {
    this.#close()
    this.push(null)
    done(null)
  }

  override _predestroy(): void {
    this.#close()
  }

  override _destroy(done: (error: Error | null) => void): void {
    this.#close()
    done(null)
  }

  #close(): void {
    if (this.#own.closed) return
    this.#own.closed = true
    this.#outbox.clear()
    this.#uploads.clear()
    this.#inbox.close()
    this.blockTarget = undefined
    this.#extensions.close()
  }

  /** Charges the time of `close` listeners too, because a peer could reconnect endlessly. */
  #emitClose(): boolean {
    const startedAt = monotonicMs()
    const { onHandled } = this
    const isHeard = this.#isOfClient ? super.emit('close') : callListeners(this, 'close', [])
    onHandled?.(monotonicMs() - startedAt)
    return isHeard
  }

  /** Runs a step; an exception closes the wire. */
  #tolerate(run: () => void): void {
    if (this.#own.closed) return
    try {
      run()
    } catch (error) {
      this.destroy(asError(error))
    }
  }

  // Hands over all waiting messages, followed by the oldest answer.
  #pull(): void {
    const answer = this.#uploads.next()
    const head = this.#outbox.take(answer)
    if (head === undefined) return
    this.push(head)
    if (answer !== undefined) {
      this.push(answer.data)
      notify(this.answerLeft, answer.data, true)
    }
    this.#uploads.offerRoom()
    this.#inbox.outboxDrained()
  }
}
