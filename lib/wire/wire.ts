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
 * A connection to a peer as messages (BEP 3, 5, 6, 10): the peer's bytes are written in, ours are read out, and
 * `socket.pipe(wire).pipe(socket)` is a working peer. Messages come as events and go as methods; the messages of one turn of the event
 * loop leave as one buffer, before the blocks that wait. A peer that breaks the protocol or exceeds a limit destroys the wire with a
 * TorrentError (ERR_WIRE_PROTOCOL, ERR_WIRE_LIMIT); harmless nonsense, such as requests outside the torrent, does so only when there is
 * too much of it. An `error` without a listener is dropped. Methods do nothing once the wire is destroyed.
 */
export class Wire extends WireState {
  /**
   * Asked when the header of a block came: memory of exactly `length` bytes that the block is received into, or
   * undefined. A wire that closes before the block is whole just leaves it.
   */
  blockTarget: ((piece: number, offset: number, length: number) => Uint8Array | undefined) | undefined
  /** Told when the data of an answer has been handed to the reader (`sent`), or will never be. */
  answerLeft: ((data: Uint8Array, sent: boolean) => void) | undefined
  /**
   * Told how many milliseconds were spent on what the peer sent and on its end, apart from blocks that were received into the memory
   * of `blockTarget` and from requests that were taken. Returns after how many milliseconds more may be handled; `Infinity` closes the wire
   * (ERR_WIRE_LIMIT).
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

  /** A wire that waits for both handshakes. */
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

  /** @internal A wire whose listeners are piecewise's own: what one throws is a fault that closes the wire, as in `receive`. */
  static ofClient(options?: WireOptions): Wire {
    const wire = new Wire(options)
    wire.#isOfClient = true
    return wire
  }

  /** The oldest request of the peer that is not answered: the one to answer next; undefined when there is none. */
  get oldestRequest(): PeerRequest | undefined {
    return this.#uploads.oldest
  }

  /** A request that will come up after `count` others, or the latest one: a hint of what to read ahead; undefined when there is none. */
  requestAhead(count: number): PeerRequest | undefined {
    return this.#uploads.ahead(count)
  }

  /** How many requests of the peer wait, answered or not. */
  get peerRequests(): number {
    return this.#uploads.size
  }

  /** Bytes received, of everything. */
  get received(): number {
    return this.#inbox.received
  }

  /** Bytes handed to the reader, of everything. */
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
   * Sets the number of pieces once it is known, checks what the peer said before, and emits `bitfield` if it said
   * anything. With lengths, requests and blocks beyond the end of a piece are noticed too.
   */
  setPieceCount(count: number, pieceLength?: number, totalLength?: number): void {
    wholeNumber('pieceCount', count, 0, this.#own.limits.pieceCount)
    this.#peer.setLengths({ pieceLength, totalLength })
    this.#tolerate(() => {
      if (this.#peer.pieces.setCount(count)) this.emit('bitfield')
    })
  }

  /**
   * Decodes a chunk, which is borrowed for the call, and emits what it holds; never throws. False asks the caller to
   * hold back further chunks until `receivable`, because the peer does not read our replies, or keeps us so busy that what it sends
   * has to wait.
   */
  receive(chunk: Uint8Array): boolean {
    return this.#inbox.receive(chunk)
  }

  /**
   * Takes a piece out of `peerPieces` and emits `dont-have`, if the peer had it: what `lt_donthave` says (BEP 54). A piece that does
   * not exist is an `oddMessage`.
   */
  peerLost(piece: number): void {
    this.#tolerate(() => {
      if (this.#peer.pieces.lose(piece)) this.emit('dont-have', piece)
    })
  }

  /**
   * For extensions: counts a message of the peer that makes no sense and is ignored, `what` it is. A peer that goes on with such
   * closes the wire (ERR_WIRE_PROTOCOL, see `limits.oddMessages`).
   */
  oddMessage(what: string): void {
    this.#tolerate(() => this.#faults.odd(what))
  }

  /** Takes back the memory that `blockTarget` gave for the block that is under way; the block then comes borrowed. */
  detachBlock(): void {
    this.#inbox.detachBlock()
  }

  /**
   * Sends our handshake (BEP 3), which must be first: 20 bytes of info hash, 20 bytes of peer id. `dht` instead of the option of that
   * name, for a wire whose torrent was not known when it was made.
   */
  handshake(infoHash: Uint8Array, peerId: Uint8Array, dht: boolean = this.#own.flags.dht): void {
    this.#outbox.handshake(infoHash, peerId, dht)
  }

  /**
   * Chokes the peer and forgets its requests that are not on their way; with the fast extension each is rejected, and
   * those for allowed-fast pieces stay.
   */
  choke(): void {
    this.#uploads.choke(true)
  }

  /** Lets the peer request. */
  unchoke(): void {
    this.#uploads.choke(false)
  }

  /** Tells the peer that we want its pieces. */
  interested(): void {
    this.#outbox.interest(true)
  }

  /** Tells the peer that it has nothing that we want. */
  notInterested(): void {
    this.#outbox.interest(false)
  }

  /** Tells the peer that we got a piece. */
  have(piece: number): void {
    this.#outbox.index(messageIds.have, piece)
  }

  /** Tells the peer that we got several pieces: at once, or, if that can wait, with what is sent next or at `flush`. */
  haveMany(pieces: Iterable<number>, canWait = false): void {
    this.#outbox.haves(pieces, canWait)
  }

  /** Sends what could wait. */
  flush(): void {
    this.#outbox.flush()
  }

  /** Tells the peer what we have, once and before any have: a bit for each piece, copied. */
  bitfield(bytes: Uint8Array): void {
    this.#outbox.bitfield(bytes)
  }

  /** Tells the peer that we have all pieces, as a bitfield if it does not speak the fast extension. */
  haveAll(): void {
    this.#outbox.haveAll()
  }

  /** Tells the peer that we have no piece; without the fast extension that is said by saying nothing. */
  haveNone(): void {
    this.#outbox.haveNone()
  }

  /** Asks for a block. */
  request(piece: number, offset: number, length: number): void {
    this.#outbox.range(messageIds.request, piece, offset, length)
  }

  /** Asks for several blocks: a flat list of piece, offset, length. */
  requests(list: ArrayLike<number>): void {
    this.#outbox.requests(list)
  }

  /** Takes back a request. The block may come all the same; with the fast extension either it or a reject comes. */
  cancel(piece: number, offset: number, length: number): void {
    this.#outbox.range(messageIds.cancel, piece, offset, length)
  }

  /**
   * Answers a request of the peer; ignored if the peer has cancelled it meanwhile. Answers that wait go out in the order of their requests.
   * `data` is not copied and must stay as it is until it is sent (see `answerLeft`). False asks the caller to wait for `sendable` before it answers more.
   */
  piece(piece: number, offset: number, data: Uint8Array): boolean {
    return this.#uploads.answer(piece, offset, data)
  }

  /** Refuses a request of the peer, which is told if it speaks the fast extension; ignored when there is none. */
  reject(piece: number, offset: number, length: number): void {
    this.#uploads.reject(piece, offset, length)
  }

  /** Leaves a request of the peer for later: `oldestRequest` passes over it until `putBack`. */
  putOff(piece: number, offset: number): void {
    this.#uploads.putOff(piece, offset)
  }

  /** Takes up the requests again that were put off, and returns them. */
  putBack(): PeerRequest[] {
    return this.#uploads.putBack()
  }

  /** Refuses all requests of the peer that are not on their way; it is told if it speaks the fast extension. */
  rejectAll(): void {
    this.#uploads.refuse(() => true)
  }

  /** The same for those of one piece that are not answered. */
  rejectPiece(piece: number): void {
    this.#uploads.refuse((request, isAnswered) => request.piece === piece && !isAnswered)
  }

  /** Tells the peer that this piece is cheap for us (BEP 6); nothing without the fast extension. */
  suggest(piece: number): void {
    this.#outbox.suggest(piece)
  }

  /** Lets the peer request this piece even while it is choked (BEP 6); nothing without the fast extension. */
  allowedFast(piece: number): void {
    this.#uploads.grant(piece)
  }

  /** Tells the peer the UDP port of our DHT node (BEP 5). */
  port(port: number): void {
    this.#outbox.port(port)
  }

  /** Sends a message that says nothing, so that the connection is not taken for dead. */
  keepAlive(): void {
    this.#outbox.keepAlive()
  }

  /** Attaches an extension (BEP 10); before `extendedHandshake`, which announces it. */
  use<T extends WireExtension>(extension: T): T {
    this.#extensions.add(extension)
    if (this.#peer.remote !== undefined) extension.onHandshake?.(this.#peer.remote)
    return extension
  }

  /** Sends our extended handshake (BEP 10); may be sent again. Nothing if the peer does not speak the protocol. */
  extendedHandshake(fields: ExtendedHandshakeFields = {}): void {
    const given: unknown = fields
    if (typeof given !== 'object' || given === null) throw argumentError('fields', fields, 'an object')
    if (!this.#outbox.maySend() || !this.#peer.extended) return
    const maxRequests = fields.maxRequests ?? this.#own.limits.requestQueue
    this.#outbox.extended(0, encodeExtendedHandshake({ ...fields, maxRequests }, this.#extensions.ids()))
  }

  /** Sends a payload (copied) to the peer's extension of that name (BEP 10); false when it does not know it. */
  extended(name: string, payload: Uint8Array): boolean {
    checkBytes('payload', payload)
    const id = this.#peer.remoteIds.get(name)
    if (id === undefined || id === 0 || !this.#outbox.maySend()) return false
    this.#outbox.extended(id, payload)
    return true
  }

  /** @internal An exception of a listener must not reach the decoder; a peer's fault must not end the program when no one listens. */
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

  // The peer has ended its side. BitTorrent knows no half-open connections, so ours ends too.
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

  /** To forget a peer costs time, too, which counts for peers that come and go without end. */
  #emitClose(): boolean {
    const startedAt = monotonicMs()
    const { onHandled } = this
    const isHeard = this.#isOfClient ? super.emit('close') : callListeners(this, 'close', [])
    onHandled?.(monotonicMs() - startedAt)
    return isHeard
  }

  /** Runs a step that may find that the peer has gone too far. */
  #tolerate(run: () => void): void {
    if (this.#own.closed) return
    try {
      run()
    } catch (error) {
      this.destroy(asError(error))
    }
  }

  // Hands over everything that is not a block, and the oldest answer behind it.
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
