import type { Connection } from '../net/connection.ts'
import { ThrottledConnection, type Throttles } from '../transport/throttled.ts'
import { TorrentError } from '../util/errors.ts'
import { sniffHandshake } from '../wire/sniff-handshake.ts'
import { Wire } from '../wire/wire.ts'
import { readFirstBytes } from './first-bytes.ts'
import { limits } from './limits.ts'
import { type PeerConnection, type PendingHandshake, PendingHandshakes } from './pending-handshakes.ts'

/** A torrent that accepts incoming peers. */
export interface DialledTorrent {
  /** Takes over a peer whose handshake named this torrent. */
  accept(peer: PeerConnection): void
}

/** Options of an {@link Acceptor}. */
export interface AcceptorOptions {
  /** Own peer id, 20 bytes. */
  readonly peerId: Uint8Array
  /** Rate limits of a connection until its torrent is known. */
  readonly throttles: Throttles
  /** Returns the torrent with this info hash (20 bytes), or undefined. */
  find(infoHash: Uint8Array): DialledTorrent | undefined
  /** Handshake timeout in milliseconds; default 10 s. */
  readonly timeoutMs?: number
}

/**
 * Accepts raw incoming connections. Checks their first bytes before anything wraps them, waits for the handshake, and passes each peer
 * to the torrent that it names.
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

  /** Takes over a connection that has not been started. */
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

  /** Closes all connections that still wait for a handshake, and every later one; idempotent. */
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
            wire.destroy(
              new TorrentError(
                'ERR_WIRE_CLOSED',
                'the peer asked for a torrent that this client does not have'
              )
            )
        },
        // The reply carries our own peer id, so that the dialling side notices and closes the connection.
        onSelf: (infoHash) => wire.handshake(infoHash, peerId),
        onEnd: () => {}
      },
      head
    )
  }
}
