import { TorrentError } from '../util/errors.ts'
import type { WireDecoderHandler } from './decoder.ts'
import { type ExtendedHandshake, parseExtendedHandshake } from './extended-handshake.ts'
import { messageIds, parseReserved } from './messages.ts'
import type { OwnState } from './own-state.ts'
import type { PeerPiecesMediator } from './peer-pieces.ts'
import type { PeerState } from './peer-state.ts'
import { protocolError } from './protocol-error.ts'
import type { WireEvents } from './wire-events.ts'

/** The part of a wire that {@link PeerMessages} uses. */
export interface MessageReceiver {
  emit<E extends keyof WireEvents>(name: E, ...values: WireEvents[E]): unknown
  readonly blockTarget:
    | ((piece: number, offset: number, length: number) => Uint8Array | undefined)
    | undefined
}

/** Handles the requests of a peer. */
export interface RequestReceiver {
  /** Handles a request within the torrent and the limits. Returns its credit in bytes, see `WireDecoderHandler.onRange`. */
  request(piece: number, offset: number, length: number): number
  /** Handles any other request, which was already counted as odd. */
  oddRequest(piece: number, offset: number, length: number): void
  /** Handles a cancel. Returns the negative change of credit if the request was queued, otherwise 0. */
  cancel(piece: number, offset: number, length: number): number
}

/** Handles the messages of extensions (BEP 10). */
export interface ExtendedReceiver {
  /** Called before the wire emits `extended-handshake`. */
  onHandshake(remote: ExtendedHandshake): void
  /** Handles a message for one of our extensions, with the id that we announced. */
  onMessage(id: number, payload: Uint8Array): void
}

/** Counts messages that a peer must not repeat too often; each method throws a TorrentError above its limit. */
export interface FaultCounter extends PeerPiecesMediator {
  /** Counts a choke. */
  choke(): void
  /** Counts an extended handshake. */
  extendedHandshake(): void
}

/**
 * Validates decoded messages, updates the {@link PeerState} and emits events. Ignores and counts harmless invalid messages, as libtorrent
 * does. Throws a TorrentError if the peer breaks the protocol or exceeds a limit.
 */
export class PeerMessages implements WireDecoderHandler {
  readonly #own: OwnState
  readonly #peer: PeerState
  readonly #faults: FaultCounter
  readonly #requests: RequestReceiver
  readonly #extensions: ExtendedReceiver
  readonly #wire: MessageReceiver
  #allowedFast = 0

  /** Connects the parts of a wire that the messages concern. */
  constructor(
    own: OwnState,
    peer: PeerState,
    faults: FaultCounter,
    requests: RequestReceiver,
    extensions: ExtendedReceiver,
    wire: MessageReceiver
  ) {
    this.#own = own
    this.#peer = peer
    this.#faults = faults
    this.#requests = requests
    this.#extensions = extensions
    this.#wire = wire
  }

  onHandshake(reserved: Uint8Array, infoHash: Uint8Array, peerId: Uint8Array): void {
    const peer = this.#peer
    const { flags } = this.#own
    const { fast, extended, dht } = parseReserved(reserved)
    peer.fast = fast && flags.fast
    peer.extended = extended && flags.extended
    peer.dht = dht
    peer.peerId = new Uint8Array(peerId)
    this.#wire.emit('handshake', {
      infoHash: new Uint8Array(infoHash),
      peerId: peer.peerId,
      fast: peer.fast,
      extended: peer.extended,
      dht
    })
  }

  onKeepAlive(): void {
    this.#wire.emit('keep-alive')
  }

  onEmpty(id: number): void {
    const peer = this.#peer
    switch (id) {
      case messageIds.choke:
      case messageIds.unchoke: {
        const choking = id === messageIds.choke
        if (peer.choking === choking) return
        if (choking) this.#faults.choke()
        peer.choking = choking
        this.#wire.emit(choking ? 'choke' : 'unchoke')
        return
      }
      case messageIds.interested:
      case messageIds.notInterested: {
        const interested = id === messageIds.interested
        if (peer.interested === interested) return
        peer.interested = interested
        this.#wire.emit(interested ? 'interested' : 'not-interested')
        return
      }
      default:
        this.#needFast('have all or have none')
        if (id === messageIds.haveAll) peer.pieces.haveAll()
        else peer.pieces.haveNone()
        this.#wire.emit('bitfield')
    }
  }

  onIndex(id: number, piece: number): void {
    if (id === messageIds.have) {
      if (this.#peer.pieces.have(piece)) this.#wire.emit('have', piece)
      return
    }
    this.#needFast('suggest or allowed fast')
    if (!this.#peer.pieces.exists(piece))
      this.#faults.oddMessage(`piece ${piece} of a suggest or allowed-fast message does not exist`)
    else if (id === messageIds.suggest) this.#wire.emit('suggest', piece)
    else if (++this.#allowedFast <= this.#own.limits.allowedFast) this.#wire.emit('allowed-fast', piece)
  }

  onRange(id: number, piece: number, offset: number, length: number): number {
    if (id === messageIds.cancel) return this.#requests.cancel(piece, offset, length)
    if (id === messageIds.reject) {
      this.#needFast('reject')
      this.#wire.emit('reject', piece, offset, length)
      return 0
    }
    const { requestLength } = this.#own.limits
    if (length > 0 && length <= requestLength && this.#peer.hasBlock(piece, offset, length))
      return this.#requests.request(piece, offset, length)
    this.#faults.oddMessage(
      `the peer requested ${length} bytes at ${offset} of piece ${piece}, outside the torrent or the limits`
    )
    this.#requests.oddRequest(piece, offset, length)
    return 0
  }

  onBitfield(bytes: Uint8Array): void {
    this.#peer.pieces.bitfield(bytes)
    this.#wire.emit('bitfield')
  }

  onBlockStart(piece: number, offset: number, length: number): Uint8Array | undefined {
    if (this.#peer.hasBlock(piece, offset, length)) return this.#wire.blockTarget?.(piece, offset, length)
    throw protocolError(`the peer sent ${length} bytes at ${offset} of piece ${piece}, outside the torrent`)
  }

  onBlock(piece: number, offset: number, data: Uint8Array, owned: boolean): void {
    this.#peer.blockBytes += data.length
    this.#wire.emit('piece', piece, offset, data, owned)
  }

  onPort(port: number): void {
    this.#wire.emit('port', port)
  }

  onExtended(id: number, payload: Uint8Array): void {
    if (!this.#peer.extended) return
    if (id > 0) this.#extensions.onMessage(id, payload)
    else this.#onExtendedHandshake(payload)
  }

  #onExtendedHandshake(payload: Uint8Array): void {
    const peer = this.#peer
    const { extendedHandshakeLength, extensionNames } = this.#own.limits
    if (payload.length > extendedHandshakeLength)
      throw new TorrentError('ERR_WIRE_LIMIT', `an extended handshake of ${payload.length} bytes is too long`)
    const remote = parseExtendedHandshake(payload, extensionNames)
    if (remote === undefined) {
      this.#faults.oddMessage('an extended handshake is not a bencoded dictionary')
      return
    }
    this.#faults.extendedHandshake()
    peer.remote = remote
    peer.maxRequests = remote.maxRequests ?? peer.maxRequests
    // A later handshake contains only changes.
    if (peer.remoteIds.size + remote.extensions.size <= 2 * extensionNames)
      peer.remoteIds = new Map([...peer.remoteIds, ...remote.extensions])
    this.#extensions.onHandshake(remote)
    this.#wire.emit('extended-handshake', remote)
  }

  #needFast(what: string): void {
    if (!this.#peer.fast) throw protocolError(`the peer sent ${what} without the fast extension`)
  }
}
