import { hostKey } from '../discovery/address-scope.ts'
import type { Connection } from '../net/connection.ts'
import { countKeyExchange } from '../transport/handling-account.ts'
import type { Encryption } from '../transport/mse/encryption.ts'
import { ExchangeQueue } from '../transport/mse/exchange-queue.ts'
import { keyPairs } from '../transport/mse/key-pair.ts'
import { MseConnection } from '../transport/mse/mse-connection.ts'
import { MseResponder } from '../transport/mse/responder.ts'
import { ThrottledConnection, type Throttles } from '../transport/throttled.ts'
import { TorrentError } from '../util/errors.ts'
import { sniffHandshake } from '../wire/sniff-handshake.ts'
import { Wire } from '../wire/wire.ts'
import { readFirstBytes } from './first-bytes.ts'
import { limits } from './limits.ts'
import { type PeerConnection, type PendingHandshake, PendingHandshakes } from './pending-handshakes.ts'
import { isPlain, peerSniffer } from './sniff-peer.ts'

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
  /** Whether to accept encrypted and plain connections. */
  readonly encryption: Encryption
  /** Returns the info hash (20 bytes) whose MSE hash (SHA-1 of `req2` and the info hash) is `name`, or undefined. */
  findNamed(name: Uint8Array): Uint8Array | undefined
  /** Handshake timeout in milliseconds; default 10 s. */
  readonly timeoutMs?: number
}

/**
 * Accepts raw incoming connections of any transport. Checks their first bytes before anything wraps them, answers the MSE handshake of
 * those that are encrypted, waits for the BitTorrent handshake, and passes each peer to the torrent that it names.
 */
export class Acceptor {
  readonly #options: AcceptorOptions
  readonly #pending: PendingHandshakes
  readonly #exchanges = new ExchangeQueue()
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
    let leaveQueue = (): void => {}
    readFirstBytes(connection, peerSniffer(this.#options.encryption), {
      onTake: (head) => {
        if (isPlain(head)) {
          this.#listen(pending, connection, head)
          return
        }
        countKeyExchange(hostKey(connection.remote.host))
        connection.pause()
        leaveQueue = this.#exchanges.wait(() => this.#answerMse(pending, connection, head))
      },
      onRefuse: () => pending.end(noHandshake()),
      onEnd: () => {
        leaveQueue()
        pending.settle()
      }
    })
  }

  /** Closes all connections that still wait for a handshake, and every later one; idempotent. */
  close(): void {
    this.#closed = true
    this.#pending.close()
  }

  /** Answers the MSE handshake of a peer whose first bytes are in `head`, and then reads its BitTorrent handshake. */
  #answerMse(pending: PendingHandshake, raw: Connection, head: Uint8Array): void {
    const { encryption, findNamed } = this.#options
    const responder = new MseResponder({ encryption, keyPair: keyPairs.take(), find: findNamed })
    const connection = new MseConnection(raw, responder, head)
    readFirstBytes(connection, sniffHandshake, {
      onTake: (first) => this.#listen(pending, connection, first),
      onRefuse: () => pending.end(noHandshake()),
      onEnd: () => pending.settle()
    })
    raw.resume()
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

function noHandshake(): TorrentError {
  return new TorrentError('ERR_WIRE_PROTOCOL', 'the peer sent no handshake')
}
