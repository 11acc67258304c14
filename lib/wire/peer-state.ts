import { TorrentError } from '../util/errors.ts'
import type { WireDecoderHandler } from './decoder.ts'
import { type ExtendedHandshake, parseExtendedHandshake } from './extended-handshake.ts'
import type { WireLimits } from './limits.ts'
import { type HandshakeFlags, messageIds, parseReserved } from './messages.ts'
import { OddMessages } from './odd-messages.ts'
import { PeerPieces } from './peer-pieces.ts'
import { RepeatedMessages } from './repeated-messages.ts'
import type { WireEvents } from './wire-events.ts'

const noIds: ReadonlyMap<string, number> = new Map()

/** What a {@link PeerState} asks of its wire. */
export interface PeerStateMediator {
  emit<E extends keyof WireEvents>(name: E, ...values: WireEvents[E]): void
  blockTarget(piece: number, offset: number, length: number): Uint8Array | undefined
  /** A request within the torrent and the limits. */
  onRequest(piece: number, offset: number, length: number): void
  /** Any other request, which is counted already. */
  onOddRequest(piece: number, offset: number, length: number): void
  onCancel(piece: number, offset: number, length: number): void
  /** A message that makes no sense. */
  onOdd(what: string): void
  /** Before the event of the same name. */
  onExtendedHandshake(remote: ExtendedHandshake): void
  /** A message for one of our extensions, by the id that we gave it. */
  onExtended(id: number, payload: Uint8Array): void
}

/** The lengths of a torrent, as far as they are known; undefined ones are not checked. */
export interface TorrentLengths {
  readonly pieceLength?: number | undefined
  readonly totalLength?: number | undefined
}

/**
 * What a peer has told of itself. Takes decoded messages, checks that they make sense, remembers what lasts and passes
 * the rest on. What does harm to nobody is ignored and counted, as libtorrent does; elsewhere a TorrentError is thrown where the peer
 * broke the protocol or a limit.
 */
export class PeerState implements WireDecoderHandler {
  readonly pieces: PeerPieces
  lengths: TorrentLengths
  peerId: Uint8Array | undefined
  fast = false
  extended = false
  dht = false
  choking = true
  interested = false
  blockBytes = 0
  /** How many requests it queues; 250 until it says otherwise, as most clients assume. */
  maxRequests = 250
  /** The last extended handshake. */
  remote: ExtendedHandshake | undefined
  /** The message ids of the peer's extensions, from all its extended handshakes. */
  remoteIds: ReadonlyMap<string, number> = noIds
  readonly #own: HandshakeFlags
  readonly #limits: WireLimits
  readonly #mediator: PeerStateMediator
  readonly #odd: OddMessages
  readonly #bulk: RepeatedMessages
  readonly #chokes: RepeatedMessages
  readonly #handshakes: RepeatedMessages
  #allowedFast = 0

  /** A peer that has told nothing yet; `own` is what we speak. */
  constructor(
    own: HandshakeFlags,
    limits: WireLimits,
    mediator: PeerStateMediator,
    pieceCount: number | undefined,
    lengths: TorrentLengths
  ) {
    this.#own = own
    this.#limits = limits
    this.#mediator = mediator
    this.lengths = lengths
    this.#odd = new OddMessages(limits)
    this.#bulk = new RepeatedMessages(
      'messages that list all pieces',
      limits.bulkMessages,
      limits.bulkMessageMs
    )
    this.#chokes = new RepeatedMessages('chokes', limits.chokes, limits.chokeMs)
    const { extendedHandshakes, extendedHandshakeMs } = limits
    this.#handshakes = new RepeatedMessages('extended handshakes', extendedHandshakes, extendedHandshakeMs)
    this.pieces = new PeerPieces(pieceCount, limits.pieceCount, this)
  }

  /**
   * Counts a message that lists all pieces.
   * @throws TorrentError ERR_WIRE_LIMIT when there are too many.
   */
  listed(): void {
    this.#bulk.add()
  }

  /**
   * Counts a message that makes no sense and is ignored or rejected.
   * @throws TorrentError ERR_WIRE_PROTOCOL when the peer goes on with such.
   */
  odd(what: string): void {
    this.#mediator.onOdd(what)
    this.#odd.add(what)
  }

  onHandshake(reserved: Uint8Array, infoHash: Uint8Array, peerId: Uint8Array): void {
    const { fast, extended, dht } = parseReserved(reserved)
    this.fast = fast && this.#own.fast
    this.extended = extended && this.#own.extended
    this.dht = dht
    this.peerId = new Uint8Array(peerId)
    this.#mediator.emit('handshake', {
      infoHash: new Uint8Array(infoHash),
      peerId: this.peerId,
      fast: this.fast,
      extended: this.extended,
      dht
    })
  }

  onKeepAlive(): void {
    this.#mediator.emit('keep-alive')
  }

  onEmpty(id: number): void {
    switch (id) {
      case messageIds.choke:
      case messageIds.unchoke: {
        const choking = id === messageIds.choke
        if (this.choking === choking) return
        if (choking) this.#chokes.add()
        this.choking = choking
        this.#mediator.emit(choking ? 'choke' : 'unchoke')
        return
      }
      case messageIds.interested:
      case messageIds.notInterested: {
        const interested = id === messageIds.interested
        if (this.interested === interested) return
        this.interested = interested
        this.#mediator.emit(interested ? 'interested' : 'not-interested')
        return
      }
      default:
        this.#needFast('have all or have none')
        if (id === messageIds.haveAll) this.pieces.haveAll()
        else this.pieces.haveNone()
        this.#mediator.emit('bitfield')
    }
  }

  onIndex(id: number, piece: number): void {
    if (id === messageIds.have) {
      if (this.pieces.have(piece)) this.#mediator.emit('have', piece)
      return
    }
    this.#needFast('suggest or allowed fast')
    if (piece >= (this.pieces.count ?? this.#limits.pieceCount))
      this.odd(`piece ${piece} of a suggestion or grant does not exist`)
    else if (id === messageIds.suggest) this.#mediator.emit('suggest', piece)
    else if (++this.#allowedFast <= this.#limits.allowedFast) this.#mediator.emit('allowed-fast', piece)
  }

  onRange(id: number, piece: number, offset: number, length: number): void {
    if (id === messageIds.cancel) {
      this.#mediator.onCancel(piece, offset, length)
    } else if (id === messageIds.reject) {
      this.#needFast('reject')
      this.#mediator.emit('reject', piece, offset, length)
    } else {
      if (length > 0 && length <= this.#limits.requestLength && this.#exists(piece, offset, length)) {
        this.#mediator.onRequest(piece, offset, length)
      } else {
        this.odd(`the peer asked for ${length} bytes at ${offset} of piece ${piece}`)
        this.#mediator.onOddRequest(piece, offset, length)
      }
    }
  }

  onBitfield(bytes: Uint8Array): void {
    this.pieces.bitfield(bytes)
    this.#mediator.emit('bitfield')
  }

  onBlockStart(piece: number, offset: number, length: number): Uint8Array | undefined {
    if (this.#exists(piece, offset, length)) return this.#mediator.blockTarget(piece, offset, length)
    throw protocolError(`the peer sent ${length} bytes at ${offset} of piece ${piece}`)
  }

  onBlock(piece: number, offset: number, data: Uint8Array, owned: boolean): void {
    this.blockBytes += data.length
    this.#mediator.emit('piece', piece, offset, data, owned)
  }

  onPort(port: number): void {
    this.#mediator.emit('port', port)
  }

  onExtended(id: number, payload: Uint8Array): void {
    if (!this.extended) return
    if (id > 0) {
      this.#mediator.onExtended(id, payload)
      return
    }
    if (payload.length > this.#limits.extendedHandshakeLength) {
      throw new TorrentError('ERR_WIRE_LIMIT', `an extended handshake of ${payload.length} bytes`)
    }
    const remote = parseExtendedHandshake(payload, this.#limits.extensionNames)
    if (remote === undefined) {
      this.odd('an extended handshake is no bencoded dictionary')
      return
    }
    this.#handshakes.add()
    this.remote = remote
    this.maxRequests = remote.maxRequests ?? this.maxRequests
    // A later handshake names only what changes.
    if (this.remoteIds.size + remote.extensions.size <= 2 * this.#limits.extensionNames) {
      this.remoteIds = new Map([...this.remoteIds, ...remote.extensions])
    }
    this.#mediator.onExtendedHandshake(remote)
    this.#mediator.emit('extended-handshake', remote)
  }

  #needFast(what: string): void {
    if (!this.fast) throw protocolError(`the peer sent ${what} without the fast extension`)
  }

  #exists(piece: number, offset: number, length: number): boolean {
    // No torrent has longer pieces than 2^30 bytes, and keys of blocks rely on it.
    if (piece >= (this.pieces.count ?? this.#limits.pieceCount) || offset >= 0x40000000) return false
    const { pieceLength, totalLength } = this.lengths
    if (pieceLength === undefined) return true
    if (offset + length > pieceLength) return false
    return totalLength === undefined || piece * pieceLength + offset + length <= totalLength
  }
}

function protocolError(message: string): TorrentError {
  return new TorrentError('ERR_WIRE_PROTOCOL', message)
}
