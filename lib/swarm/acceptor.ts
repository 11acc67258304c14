import { hostKey } from '../discovery/address-scope.ts'
import type { ThrottledConnection } from '../transport/throttled.ts'
import { equalBytes } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { Wire } from '../wire/wire.ts'
import type { WireOptions } from '../wire/wire-events.ts'
import { join } from './wire-connection.ts'

/** How long a peer that dialled us may take for its handshake. */
const handshakeMs = 10_000
/** Incoming connections whose handshake waits for its turn in the download limit; more are a flood. */
const mostStrangers = 64

/** A torrent that peers may dial. */
export interface DialledTorrent {
  /** Options for its wires, as far as they are known. */
  wireOptions(): WireOptions
  /** Takes a peer whose handshake named it. */
  accept(connection: ThrottledConnection, wire: Wire, peerId: Uint8Array): void
}

/** Waits for the handshakes of peers that dial us, and gives each peer to the torrent that it names. */
export class Acceptor {
  readonly #peerId: Uint8Array
  readonly #find: (infoHash: Uint8Array) => DialledTorrent | undefined
  readonly #strangers = new Set<Wire>()
  #closed = false

  /** `find` gives the torrent that the 20 bytes of a handshake name. */
  constructor(peerId: Uint8Array, find: (infoHash: Uint8Array) => DialledTorrent | undefined) {
    this.#peerId = peerId
    this.#find = find
  }

  /** Takes a connection that somebody else has opened. */
  accept(connection: ThrottledConnection): void {
    if (this.#closed) {
      connection.close()
      return
    }
    if (this.#strangers.size >= mostStrangers) {
      // An honest peer sends its handshake within a round trip, so the connection that waits longest is the least likely to be one.
      const [oldest] = this.#strangers
      oldest?.destroy(new TorrentError('ERR_TRANSPORT_TIMEOUT', 'no handshake came, and others wait'))
    }
    const wire = Wire.ofClient()
    this.#strangers.add(wire)
    const timer = setTimeout(() => {
      wire.destroy(new TorrentError('ERR_TRANSPORT_TIMEOUT', 'no handshake came'))
    }, handshakeMs)
    timer.unref()
    const settle = (): void => {
      clearTimeout(timer)
      this.#strangers.delete(wire)
    }
    wire.once('close', settle)
    wire.once('handshake', ({ infoHash, peerId }) => {
      if (equalBytes(peerId, this.#peerId)) {
        // That is ourselves: our answer tells the side that dialled, which then closes.
        wire.handshake(infoHash, this.#peerId)
        return
      }
      wire.off('close', settle)
      settle()
      const torrent = this.#find(infoHash)
      if (torrent === undefined) {
        wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'the peer asks for a torrent that is not here'))
        return
      }
      const { pieceCount, pieceLength, totalLength } = torrent.wireOptions()
      if (pieceCount !== undefined) wire.setPieceCount(pieceCount, pieceLength, totalLength)
      torrent.accept(connection, wire, peerId)
    })
    join(connection, wire, hostKey(connection.remote.host))
  }

  /** Sends everybody away who has not said a name, and all who come from now on; idempotent. */
  close(): void {
    this.#closed = true
    for (const wire of this.#strangers) wire.destroy()
  }
}
