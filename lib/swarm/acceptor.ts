import type { Connection } from '../net/connection.ts'
import { ThrottledConnection, type Throttles } from '../transport/throttled.ts'
import { TorrentError } from '../util/errors.ts'
import { sniffHandshake } from '../wire/sniff-handshake.ts'
import { Wire } from '../wire/wire.ts'
import { readFirstBytes } from './first-bytes.ts'
import { limits } from './limits.ts'
import { type PeerConnection, type PendingHandshake, PendingHandshakes } from './pending-handshakes.ts'

/** A torrent that peers may dial. */
export interface DialledTorrent {
  /** Takes a peer whose handshake named it. */
  accept(peer: PeerConnection): void
}

/** Options of an {@link Acceptor}. */
export interface AcceptorOptions {
  /** Our own; 20 bytes. */
  readonly peerId: Uint8Array
  /** The limits of a connection until its torrent is known. */
  readonly throttles: Throttles
  /** Returns the torrent that the 20 bytes of a handshake name. */
  find(infoHash: Uint8Array): DialledTorrent | undefined
  /** How long a handshake may take, default 10 s. */
  readonly timeoutMs?: number
}

/**
 * The way in: takes raw incoming connections, judges their first bytes before anything wraps them, waits for the handshakes, and gives
 * each peer to the torrent that it names.
 */
export class Acceptor {
  readonly #options: AcceptorOptions
  readonly #pending: PendingHandshakes
  #closed = false

  constructor(options: AcceptorOptions) {
    this.#options = options
    const { peerId, timeoutMs } = options
    this.#pending = new PendingHandshakes({ peerId, timeoutMs, most: limits.incomingHandshakes })
  }

  /** Takes a connection that was not started. */
  accept(connection: Connection): void {
    if (this.#closed) {
      connection.close()
      return
    }
    const pending = this.#pending.begin(connection)
    readFirstBytes(connection, sniffHandshake, {
      onTake: (head) => this.#listen(pending, connection, head),
      onRefuse: () => pending.end(new TorrentError('ERR_WIRE_PROTOCOL', 'the peer sent no handshake')),
      onEnd: () => pending.settle()
    })
  }

  /** Ends all connections whose handshake has not come, and all that come from now on; idempotent. */
  close(): void {
    this.#closed = true
    this.#pending.close()
  }

  #listen(pending: PendingHandshake, raw: Connection, head: Uint8Array): void {
    const { peerId, throttles } = this.#options
    const wire = Wire.ofClient()
    pending.listen(
      new ThrottledConnection(raw, throttles),
      wire,
      {
        onHandshake: (peer) => {
          const torrent = this.#options.find(peer.infoHash)
          if (torrent !== undefined) torrent.accept(peer)
          else
            wire.destroy(new TorrentError('ERR_WIRE_CLOSED', 'the peer asks for a torrent that is not here'))
        },
        // Our answer tells the side that dialled, which then closes.
        onSelf: (infoHash) => wire.handshake(infoHash, peerId),
        onEnd: () => {}
      },
      head
    )
  }
}
