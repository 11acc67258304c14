import type BitField from 'bitfield'
import { Duplex } from 'streamx'
import { isBytes } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { debug } from '../util/debug.ts'
import { asError, type ErrorCode, TorrentError } from '../util/errors.ts'
import { checkOptionNames } from '../util/options.ts'
import { show } from '../util/show.ts'
import { callListeners, notify } from '../util/user-code.ts'
import { WireDecoder } from './decoder.ts'
import { MessageBatch, writeRequests } from './encoder.ts'
import {
  type ExtendedHandshake,
  type ExtendedHandshakeFields,
  encodeExtendedHandshake
} from './extended-handshake.ts'
import type { WireExtension } from './extension.ts'
import { Handling } from './handling.ts'
import { defaultWireLimits, type WireLimits } from './limits.ts'
import { type HandshakeFlags, messageIds } from './messages.ts'
import { fullBitfield } from './peer-pieces.ts'
import { type PeerRequest, PeerRequests } from './peer-requests.ts'
import { PeerState, type PeerStateMediator } from './peer-state.ts'
import type { WireEvents, WireOptions } from './wire-events.ts'

const log = debug('wire')
// A record, so that an option without a place here is no valid program.
const optionNames: Record<keyof WireOptions, true> = {
  fast: true,
  extended: true,
  dht: true,
  pieceCount: true,
  pieceLength: true,
  totalLength: true,
  requestQueue: true,
  limits: true
}
/** After so much work it is seen whether the turn is used up. */
const workStep = 100
let lastId = 0

/**
 * A connection to a peer as messages (BEP 3, 5, 6, 10): the peer's bytes are written in, ours are read out, and
 * `socket.pipe(wire).pipe(socket)` is a working peer. Messages come as events and go as methods; what is sent within
 * one turn of the event loop leaves as one buffer, before the blocks that wait. A peer that breaks the protocol or
 * exceeds a limit destroys the wire with a TorrentError (ERR_WIRE_PROTOCOL, ERR_WIRE_LIMIT); of what harms nobody, such as requests
 * outside the torrent, only too much does. An `error` nobody listens
 * to is dropped. Methods do nothing once the wire is destroyed.
 */
export class Wire extends Duplex<WireEvents> {
  /** A class and no bag of closures, for there is one for each connected peer. */
  static readonly #Mediator = class implements PeerStateMediator {
    readonly #wire: Wire

    constructor(wire: Wire) {
      this.#wire = wire
    }

    emit<E extends keyof WireEvents>(name: E, ...values: WireEvents[E]): void {
      this.#wire.emit(name, ...values)
    }

    blockTarget(piece: number, offset: number, length: number): Uint8Array | undefined {
      return this.#wire.blockTarget?.(piece, offset, length)
    }

    onRequest(piece: number, offset: number, length: number): void {
      this.#wire.#onRequest(piece, offset, length)
    }

    onOddRequest(piece: number, offset: number, length: number): void {
      this.#wire.#onOddRequest(piece, offset, length)
    }

    onOdd(what: string): void {
      if (log.enabled) log('%d ignored: %s', this.#wire.id, what)
    }

    onCancel(piece: number, offset: number, length: number): void {
      this.#wire.#onCancel(piece, offset, length)
    }

    onExtended(id: number, payload: Uint8Array): void {
      this.#wire.#extensions[id - 1]?.onMessage(payload)
    }

    onExtendedHandshake(remote: ExtendedHandshake): void {
      for (const extension of this.#wire.#extensions) extension.onHandshake?.(remote)
    }
  }

  /** Names the wire in logs. */
  readonly id: number = ++lastId
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
  readonly #limits: WireLimits
  readonly #own: HandshakeFlags
  readonly #peer: PeerState
  readonly #decoder: WireDecoder
  readonly #requests = new PeerRequests()
  readonly #batch = new MessageBatch()
  readonly #extensions: WireExtension[] = []
  #granted: Set<number> | undefined
  #handshakeSent = false
  #amChoking = true
  #amInterested = false
  #chokedRequests = 0
  #received = 0
  #sent = 0
  #blockBytesSent = 0
  #closed = false
  // The reader wants bytes and there were none.
  #hungry = false
  #flushing = false
  #receiveHeld = false
  #sendHeld = false
  #writeDone: (() => void) | undefined
  #isOfClient = false
  readonly #handling: Handling
  /** The peer's bytes that wait for the next turn of the event loop. */
  #rest: Uint8Array | undefined
  #restTimer: NodeJS.Timeout | undefined
  readonly #flush = (): void => {
    this.#flushing = false
    if (!this.#closed && this.#hungry) this.#pull()
  }

  /** A wire that waits for both handshakes. */
  constructor(options: WireOptions = {}) {
    checkOptionNames(options, Object.keys(optionNames), (option, reason) => refused(option, reason))
    super({ highWaterMark: 1 })
    this.#limits = limitsOf(options)
    this.#own = { fast: options.fast ?? true, extended: options.extended ?? true, dht: options.dht ?? false }
    if (options.pieceCount !== undefined) this.#checkPieceCount(options.pieceCount)
    const { pieceLength, totalLength } = options
    const mediator = new Wire.#Mediator(this)
    const lengths = { pieceLength, totalLength }
    this.#peer = new PeerState(this.#own, this.#limits, mediator, options.pieceCount, lengths)
    this.#decoder = new WireDecoder(this.#peer, this.#limits)
    this.#handling = new Handling(this.#limits)
    this.#requests.onTakenBack = (data) => notify(this.answerLeft, data, false)
  }

  /** @internal A wire whose listeners are piecewise's own: what one throws is a fault that closes the wire, as in `receive`. */
  static ofClient(options?: WireOptions): Wire {
    const wire = new Wire(options)
    wire.#isOfClient = true
    return wire
  }

  /** Whether we choke the peer: it may not request. */
  get amChoking(): boolean {
    return this.#amChoking
  }

  /** Whether we told the peer that we want its pieces. */
  get amInterested(): boolean {
    return this.#amInterested
  }

  /** Whether the peer chokes us. */
  get peerChoking(): boolean {
    return this.#peer.choking
  }

  /** Whether the peer wants our pieces. */
  get peerInterested(): boolean {
    return this.#peer.interested
  }

  /** The 20 bytes of the peer's id, undefined before its handshake. */
  get peerId(): Uint8Array | undefined {
    return this.#peer.peerId
  }

  /** Whether both sides speak the fast extension (BEP 6). */
  get peerFast(): boolean {
    return this.#peer.fast
  }

  /** Whether both sides speak the extension protocol (BEP 10). */
  get peerExtended(): boolean {
    return this.#peer.extended
  }

  /** Whether the peer announced a DHT node (BEP 5). */
  get peerDht(): boolean {
    return this.#peer.dht
  }

  /** The pieces that the peer has; to be read only, and replaced by another object in `setPieceCount`. */
  get peerPieces(): BitField {
    return this.#peer.pieces.field
  }

  /** How many pieces the peer has. */
  get peerPieceTotal(): number {
    return this.#peer.pieces.total
  }

  /** Whether the peer has all pieces. */
  get peerSeeding(): boolean {
    return this.#peer.pieces.seeding
  }

  /** The peer's extended handshake, the last one if there were several. */
  get peerHandshake(): ExtendedHandshake | undefined {
    return this.#peer.remote
  }

  /** The oldest request of the peer that is not answered: the one to answer next; undefined when there is none. */
  get oldestRequest(): PeerRequest | undefined {
    return this.#requests.oldest
  }

  /** A request that will come up after `count` others, or the latest one: a hint of what to read ahead; undefined when there is none. */
  requestAhead(count: number): PeerRequest | undefined {
    return this.#requests.ahead(count)
  }

  /** How many requests of the peer wait, answered or not. */
  get peerRequests(): number {
    return this.#requests.size
  }

  /** How many requests the peer queues: its `reqq`, or 250. */
  get peerMaxRequests(): number {
    return this.#peer.maxRequests
  }

  /** Bytes received, of everything. */
  get received(): number {
    return this.#received
  }

  /** Bytes handed to the reader, of everything. */
  get sent(): number {
    return this.#sent
  }

  /** Bytes of whole blocks received. */
  get blockBytesReceived(): number {
    return this.#peer.blockBytes
  }

  /** Bytes of blocks handed to the reader. */
  get blockBytesSent(): number {
    return this.#blockBytesSent
  }

  /** Bytes of control messages and answers that wait for the reader. */
  get bytesQueued(): number {
    return this.#batch.length + this.#requests.answerLength
  }

  /**
   * Sets the number of pieces once it is known, checks what the peer said before, and emits `bitfield` if it said
   * anything. With lengths, requests and blocks beyond the end of a piece are noticed too.
   */
  setPieceCount(count: number, pieceLength?: number, totalLength?: number): void {
    this.#checkPieceCount(count)
    const known = this.#peer.lengths
    this.#peer.lengths = {
      pieceLength: pieceLength ?? known.pieceLength,
      totalLength: totalLength ?? known.totalLength
    }
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
    if (!isBytes(chunk)) throw argumentError('chunk', chunk, 'a Uint8Array')
    if (this.#closed) return true
    this.#received += chunk.length
    if (this.#rest !== undefined) {
      this.#rest = Buffer.concat([this.#rest, chunk])
      return false
    }
    return this.#decode(chunk, false)
  }

  /** Decodes until the chunk ends or the turn is used up; whether the next chunk may come. A chunk that is not `owned` is borrowed. */
  #decode(chunk: Uint8Array, owned: boolean): boolean {
    const decoder = this.#decoder
    const handling = this.#handling
    let at = 0
    decoder.work = decoder.freeBytes = 0
    handling.begin()
    try {
      for (;;) {
        decoder.workMax = decoder.work + workStep
        at = decoder.push(chunk, at)
        if (at >= chunk.length || handling.isTurnOver(decoder.work)) break
      }
    } catch (error) {
      this.destroy(asError(error))
    }
    const ms = handling.end(at, decoder.work, decoder.freeBytes)
    const waitMs = ms > 0 ? (this.onHandled?.(ms) ?? 0) : 0
    if (this.#closed) return true
    if (waitMs === Number.POSITIVE_INFINITY) {
      this.#fail('ERR_WIRE_LIMIT', 'the messages of the peer keep us too busy')
      return true
    }
    if (at < chunk.length || waitMs > 0) {
      this.#rest = owned ? chunk.subarray(at) : new Uint8Array(chunk.subarray(at))
      if (waitMs === 0) setImmediate(() => this.#goOn())
      else this.#restTimer = setTimeout(() => this.#goOn(), waitMs).unref()
      return false
    }
    if (this.#batch.length <= this.#limits.controlLength) return true
    this.#receiveHeld = true
    return false
  }

  /** Decodes what has waited for this turn. */
  #goOn(): void {
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined && !this.#closed && this.#decode(rest, true)) this.#offerChunk()
  }

  #offerChunk(): void {
    const done = this.#writeDone
    this.#writeDone = undefined
    done?.()
    if (!this.#closed) this.emit('receivable')
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
    this.#tolerate(() => this.#peer.odd(what))
  }

  /** Takes back the memory that `blockTarget` gave for the block that is under way; the block then comes borrowed. */
  detachBlock(): void {
    this.#decoder.detach()
  }

  /**
   * Sends our handshake (BEP 3), which must be first: 20 bytes of info hash, 20 bytes of peer id. `dht` instead of the option of that
   * name, for a wire whose torrent was not known when it was made.
   */
  handshake(infoHash: Uint8Array, peerId: Uint8Array, dht: boolean = this.#own.dht): void {
    for (const [name, bytes] of [
      ['infoHash', infoHash],
      ['peerId', peerId]
    ] as const) {
      if (!isBytes(bytes)) throw argumentError(name, bytes, '20 bytes')
      if (bytes.length !== 20) throw argumentError(name, bytes.length, '20 bytes')
    }
    if (this.#closed || this.#handshakeSent) return
    this.#handshakeSent = true
    this.#batch.handshake(infoHash, peerId, { ...this.#own, dht })
    this.#schedule()
  }

  /**
   * Chokes the peer and forgets its requests that are not on their way; with the fast extension each is rejected, and
   * those for allowed-fast pieces stay.
   */
  choke(): void {
    if (this.#amChoking || !this.#maySend()) return
    this.#amChoking = true
    this.#chokedRequests = 0
    this.#batch.empty(messageIds.choke)
    const granted = this.#peer.fast ? this.#granted : undefined
    const refused = this.#requests.removeAll(({ piece }) => granted?.has(piece) !== true)
    for (const { piece, offset, length } of refused) {
      if (this.#peer.fast) this.#batch.range(messageIds.reject, piece, offset, length)
    }
    this.#schedule()
    this.#offerRoom()
  }

  /** Lets the peer request. */
  unchoke(): void {
    if (!this.#amChoking || !this.#maySend()) return
    this.#amChoking = false
    this.#chokedRequests = 0
    this.#empty(messageIds.unchoke)
  }

  /** Tells the peer that we want its pieces. */
  interested(): void {
    if (this.#amInterested || !this.#maySend()) return
    this.#amInterested = true
    this.#empty(messageIds.interested)
  }

  /** Tells the peer that it has nothing that we want. */
  notInterested(): void {
    if (!this.#amInterested || !this.#maySend()) return
    this.#amInterested = false
    this.#empty(messageIds.notInterested)
  }

  /** Tells the peer that we got a piece. */
  have(piece: number): void {
    if (this.#maySend()) this.#index(messageIds.have, piece)
  }

  /** Tells the peer that we got several pieces: at once, or, if that can wait, with what is sent next or at `flush`. */
  haveMany(pieces: Iterable<number>, canWait = false): void {
    if (!this.#maySend()) return
    if (!isIterable(pieces)) throw argumentError('pieces', pieces, 'numbers of pieces')
    for (const piece of pieces) this.#batch.index(messageIds.have, wholeNumber('piece', piece, 0, 0xffffffff))
    if (!canWait) this.#schedule()
  }

  /** Sends what could wait. */
  flush(): void {
    if (this.#batch.length > 0 && this.#maySend()) this.#schedule()
  }

  /** Tells the peer what we have, once and before any have: a bit for each piece, copied. */
  bitfield(bytes: Uint8Array): void {
    if (!isBytes(bytes)) throw argumentError('bytes', bytes, 'a Uint8Array')
    if (!this.#maySend()) return
    this.#batch.payload(messageIds.bitfield, bytes)
    this.#schedule()
  }

  /** Tells the peer that we have all pieces, as a bitfield if it does not speak the fast extension. */
  haveAll(): void {
    if (!this.#maySend()) return
    if (this.#peer.fast) {
      this.#empty(messageIds.haveAll)
      return
    }
    const count = this.#peer.pieces.count
    if (count === undefined) throw argumentError('pieceCount', count, 'known for a bitfield of all pieces')
    this.bitfield(fullBitfield(count))
  }

  /** Tells the peer that we have no piece; without the fast extension that is said by saying nothing. */
  haveNone(): void {
    if (this.#maySend() && this.#peer.fast) this.#empty(messageIds.haveNone)
  }

  /** Asks for a block. */
  request(piece: number, offset: number, length: number): void {
    if (this.#maySend()) this.#range(messageIds.request, piece, offset, length)
  }

  /** Asks for several blocks: a flat list of piece, offset, length. */
  requests(list: ArrayLike<number>): void {
    const given: unknown = list
    if (typeof given !== 'object' || given === null) throw argumentError('list', list, 'a list of numbers')
    if (list.length % 3 !== 0) throw argumentError('list.length', list.length, 'a multiple of 3')
    if (!this.#maySend()) return
    writeRequests(this.#batch, list)
    this.#schedule()
  }

  /** Takes back a request. The block may come all the same; with the fast extension either it or a reject comes. */
  cancel(piece: number, offset: number, length: number): void {
    if (this.#maySend()) this.#range(messageIds.cancel, piece, offset, length)
  }

  /**
   * Answers a request of the peer; ignored if it was taken back meanwhile. Answers that wait go out in the order of their requests. `data` is not copied and must stay as it is
   * until it is sent (see `answerLeft`). False asks the caller to wait for `sendable` before it answers more.
   */
  piece(piece: number, offset: number, data: Uint8Array): boolean {
    if (!isBytes(data)) throw argumentError('data', data, 'a Uint8Array')
    if (!this.#closed && this.#requests.answer(piece, offset, data)) this.#schedule()
    else notify(this.answerLeft, data, false)
    if (this.#closed) return true
    if (this.#requests.answerLength < this.#limits.answerLength) return true
    this.#sendHeld = true
    return false
  }

  /** Refuses a request of the peer, which is told if it speaks the fast extension; ignored when there is none. */
  reject(piece: number, offset: number, length: number): void {
    if (!this.#requests.remove(piece, offset, length)) return
    if (this.#peer.fast) this.#range(messageIds.reject, piece, offset, length)
    this.#offerRoom()
  }

  /** Leaves a request of the peer for later: `oldestRequest` passes over it until `putBack`. */
  putOff(piece: number, offset: number): void {
    this.#requests.putOff(piece, offset)
  }

  /** Takes up the requests again that were put off, and returns them. */
  putBack(): PeerRequest[] {
    return this.#requests.putBack()
  }

  /** Refuses all requests of the peer that are not on their way; it is told if it speaks the fast extension. */
  rejectAll(): void {
    this.#refuse(() => true)
  }

  /** The same for those of one piece that are not answered. */
  rejectPiece(piece: number): void {
    this.#refuse((request, isAnswered) => request.piece === piece && !isAnswered)
  }

  /** Tells the peer that this piece is cheap for us (BEP 6); nothing without the fast extension. */
  suggest(piece: number): void {
    if (this.#maySend() && this.#peer.fast) this.#index(messageIds.suggest, piece)
  }

  /** Lets the peer request this piece even while it is choked (BEP 6); nothing without the fast extension. */
  allowedFast(piece: number): void {
    if (!this.#maySend() || !this.#peer.fast) return
    this.#granted ??= new Set()
    this.#granted.add(piece)
    this.#index(messageIds.allowedFast, piece)
  }

  /** Tells the peer the UDP port of our DHT node (BEP 5). */
  port(port: number): void {
    wholeNumber('port', port, 0, 65535)
    if (!this.#maySend()) return
    this.#batch.port(port)
    this.#schedule()
  }

  /** Sends a message that says nothing, so that the connection is not taken for dead. */
  keepAlive(): void {
    if (!this.#maySend()) return
    this.#batch.keepAlive()
    this.#schedule()
  }

  /** Attaches an extension (BEP 10); before `extendedHandshake`, which announces it. */
  use<T extends WireExtension>(extension: T): T {
    const given: unknown = extension
    if (typeof given !== 'object' || given === null || typeof extension.name !== 'string')
      throw argumentError('extension', extension, 'an object with a name and onMessage')
    if (this.#extensions.some(({ name }) => name === extension.name)) {
      throw argumentError('extension', extension.name, 'used only once')
    }
    this.#extensions.push(extension)
    if (this.#peer.remote !== undefined) extension.onHandshake?.(this.#peer.remote)
    return extension
  }

  /** Sends our extended handshake (BEP 10); may be sent again. Nothing if the peer does not speak the protocol. */
  extendedHandshake(fields: ExtendedHandshakeFields = {}): void {
    const given: unknown = fields
    if (typeof given !== 'object' || given === null) throw argumentError('fields', fields, 'an object')
    if (!this.#maySend() || !this.#peer.extended) return
    const ids = new Map(
      this.#extensions.map(({ name, announced }, n) => [name, announced === false ? 0 : n + 1])
    )
    const maxRequests = fields.maxRequests ?? this.#limits.requestQueue
    this.#batch.extended(0, encodeExtendedHandshake({ ...fields, maxRequests }, ids))
    this.#schedule()
  }

  /** Sends a payload (copied) to the peer's extension of that name (BEP 10); false when it does not know it. */
  extended(name: string, payload: Uint8Array): boolean {
    if (!isBytes(payload)) throw argumentError('payload', payload, 'a Uint8Array')
    const id = this.#peer.remoteIds.get(name)
    if (id === undefined || id === 0 || !this.#maySend()) return false
    this.#batch.extended(id, payload)
    this.#schedule()
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
    if (!isBytes(data)) {
      done(argumentError('data', typeof data, 'a Uint8Array'))
    } else if (this.receive(data)) {
      done(null)
    } else {
      this.#writeDone = () => done(null)
    }
  }

  override _read(done: (error: Error | null) => void): void {
    this.#hungry = true
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
    if (this.#closed) return
    this.#closed = true
    this.#decoder.stop()
    this.#rest = undefined
    clearTimeout(this.#restTimer)
    this.#batch.clear()
    this.#requests.removeAll()
    this.#writeDone?.()
    this.#writeDone = undefined
    this.blockTarget = undefined
    for (const extension of this.#extensions) extension.onClose?.()
  }

  /** To forget a peer costs, too: one that comes and goes for ever would else have that for nothing. */
  #emitClose(): boolean {
    const startedAt = monotonicMs()
    const { onHandled } = this
    const isHeard = this.#isOfClient ? super.emit('close') : callListeners(this, 'close', [])
    onHandled?.(monotonicMs() - startedAt)
    return isHeard
  }

  #checkPieceCount(count: number): void {
    wholeNumber('pieceCount', count, 0, this.#limits.pieceCount)
  }

  /** Runs what may find that the peer has gone too far. */
  #tolerate(run: () => void): void {
    if (this.#closed) return
    try {
      run()
    } catch (error) {
      this.destroy(asError(error))
    }
  }

  #maySend(): boolean {
    if (this.#closed) return false
    if (!this.#handshakeSent) throw argumentError('handshake', 'none', 'sent first')
    return true
  }

  #empty(id: number): void {
    this.#batch.empty(id)
    this.#schedule()
  }

  #index(id: number, piece: number): void {
    this.#batch.index(id, wholeNumber('piece', piece, 0, 0xffffffff))
    this.#schedule()
  }

  #range(id: number, piece: number, offset: number, length: number): void {
    wholeNumber('piece', piece, 0, 0xffffffff)
    wholeNumber('offset', offset, 0, 0xffffffff)
    this.#batch.range(id, piece, offset, wholeNumber('length', length, 1, 0xffffffff))
    this.#schedule()
  }

  #schedule(): void {
    if (this.#batch.length > this.#limits.controlLengthMax) {
      this.#fail('ERR_WIRE_LIMIT', `the peer left ${this.#batch.length} bytes of control messages unread`)
      return
    }
    if (!this.#hungry || this.#flushing) return
    this.#flushing = true
    queueMicrotask(this.#flush)
  }

  // Hands over everything that is not a block, and the oldest answer behind it.
  #pull(): void {
    const answer = this.#requests.next()
    if (answer !== undefined) this.#batch.pieceHeader(answer.piece, answer.offset, answer.length)
    const head = this.#batch.take()
    if (head === undefined) return
    this.#hungry = false
    this.#sent += head.length
    this.push(head)
    if (answer !== undefined) {
      this.#sent += answer.length
      this.#blockBytesSent += answer.length
      this.push(answer.data)
      notify(this.answerLeft, answer.data, true)
    }
    this.#offerRoom()
    if (this.#receiveHeld && !this.#closed) {
      this.#receiveHeld = false
      this.#offerChunk()
    }
  }

  #offerRoom(): void {
    if (!this.#sendHeld || this.#closed || this.#requests.answerLength > this.#limits.answerLength / 2) return
    this.#sendHeld = false
    this.emit('sendable')
  }

  #refuse(which: (request: PeerRequest, isAnswered: boolean) => boolean): void {
    for (const { piece, offset, length } of this.#requests.removeAll(which)) {
      if (this.#peer.fast) this.#range(messageIds.reject, piece, offset, length)
    }
    this.#offerRoom()
  }

  #fail(code: ErrorCode, message: string): void {
    this.destroy(new TorrentError(code, message))
  }

  #onRequest(piece: number, offset: number, length: number): void {
    const choked = this.#amChoking && this.#granted?.has(piece) !== true
    if (choked && ++this.#chokedRequests > this.#limits.chokedRequests) {
      this.#fail('ERR_WIRE_LIMIT', 'the peer goes on asking although it is choked')
      return
    }
    if (this.#requests.has(piece, offset)) return
    if (choked || this.#peer.pieces.count === undefined || this.#requests.size >= this.#limits.requestQueue) {
      if (this.#peer.fast && this.#handshakeSent) this.#range(messageIds.reject, piece, offset, length)
      return
    }
    // To answer it is an upload, and no work that the peer makes.
    this.#decoder.work--
    this.#decoder.freeBytes += length
    this.#requests.add(piece, offset, length)
    this.emit('request', piece, offset, length)
  }

  #onOddRequest(piece: number, offset: number, length: number): void {
    if (!this.#peer.fast || !this.#handshakeSent) return
    this.#batch.range(messageIds.reject, piece, offset, length)
    this.#schedule()
  }

  #onCancel(piece: number, offset: number, length: number): void {
    if (!this.#requests.remove(piece, offset, length)) return
    this.#decoder.freeBytes -= length
    if (this.#peer.fast) this.#range(messageIds.reject, piece, offset, length)
    this.emit('cancel', piece, offset, length)
    this.#offerRoom()
  }
}

/** The defaults themselves where nothing else is asked for: most wires share them. */
function limitsOf({ limits, requestQueue }: WireOptions): WireLimits {
  if (limits === undefined && requestQueue === undefined) return defaultWireLimits
  const all = { ...defaultWireLimits, ...limits }
  if (requestQueue === undefined) return all
  return { ...all, requestQueue: wholeNumber('requestQueue', requestQueue, 1, 1e6) }
}

function wholeNumber(option: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw argumentError(option, value, `a whole number from ${min} to ${max}`)
}

function argumentError(option: string, value: unknown, expected: string): TorrentError {
  return new TorrentError('ERR_WIRE_ARGUMENT', `${option} is ${show(value)} but must be ${expected}`, {
    details: { option, value }
  })
}

function refused(option: string, reason: string): TorrentError {
  return new TorrentError('ERR_WIRE_ARGUMENT', `option ${option}: ${reason}`, { details: { option } })
}

function isIterable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}
