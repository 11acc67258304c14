import { hostKey } from '../discovery/address-scope.ts'
import type { Connection } from '../net/connection.ts'
import type { ThrottledConnection } from '../transport/throttled.ts'
import { equalBytes } from '../util/bytes.ts'
import { monotonicMs } from '../util/clock.ts'
import { TorrentError } from '../util/errors.ts'
import { LazySet } from '../util/lazy-collections.ts'
import type { Wire } from '../wire/wire.ts'
import { limits } from './limits.ts'
import { join } from './wire-connection.ts'

/** A connection whose peer has sent its handshake. */
export interface PeerConnection {
  readonly connection: ThrottledConnection
  readonly wire: Wire
  /** 20 bytes. */
  readonly peerId: Uint8Array
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  /** Round trip in milliseconds; undefined for a peer that dialled us. */
  readonly latencyMs: number | undefined
}

/** Callbacks of a {@link PendingHandshake}. */
export interface HandshakeEvents {
  /** The handshake arrived. Listeners for later messages must be attached before this returns. */
  onHandshake(peer: PeerConnection): void
  /** The other side is this client. The connection stays pending until its wire closes. */
  onSelf(infoHash: Uint8Array): void
  /** The connection closed before `onHandshake`. */
  onEnd(): void
}

/** Options of {@link PendingHandshakes}. */
export interface PendingHandshakesOptions {
  /** Own peer id, 20 bytes. */
  readonly peerId: Uint8Array
  /** Maximum pending handshakes; no limit by default. */
  readonly most?: number
  /** Timeout in milliseconds; default 10 s. */
  readonly timeoutMs?: number | undefined
}

/** Connections that wait for a handshake (BEP 3). Each has a timeout; when there are too many, the oldest is closed. */
export class PendingHandshakes {
  readonly #peerId: Uint8Array
  readonly #most: number
  readonly #timeoutMs: number
  /** Oldest first. */
  readonly #pending = new LazySet<PendingHandshake>()

  constructor(options: PendingHandshakesOptions) {
    const { peerId, most = Number.POSITIVE_INFINITY, timeoutMs = limits.handshakeMs } = options
    this.#peerId = peerId
    this.#most = most
    this.#timeoutMs = timeoutMs
  }

  /** Adds a connection and starts its timeout. */
  begin(connection: Connection): PendingHandshake {
    if (this.#pending.size >= this.#most) {
      const [oldest] = this.#pending
      oldest?.end(
        new TorrentError(
          'ERR_TRANSPORT_TIMEOUT',
          'no handshake came, and too many other connections wait for theirs'
        )
      )
    }
    const pending = new PendingHandshake(connection, this.#peerId, this.#timeoutMs, () => {
      this.#pending.delete(pending)
    })
    this.#pending.add(pending)
    return pending
  }

  /** Closes all of them. */
  close(): void {
    for (const pending of this.#pending) pending.end()
  }
}

/** A connection that waits for its handshake, first without and then with a wire. */
export class PendingHandshake {
  readonly #connection: Connection
  readonly #peerId: Uint8Array
  readonly #onSettled: () => void
  readonly #timer: NodeJS.Timeout
  #wire: Wire | undefined

  constructor(connection: Connection, peerId: Uint8Array, timeoutMs: number, onSettled: () => void) {
    this.#connection = connection
    this.#peerId = peerId
    this.#onSettled = onSettled
    this.#timer = setTimeout(() => {
      this.end(new TorrentError('ERR_TRANSPORT_TIMEOUT', 'no handshake came'))
    }, timeoutMs)
    this.#timer.unref()
  }

  /** Joins a wire to the connection, which may be wrapped by now; `head` holds bytes that were already read. */
  listen(connection: ThrottledConnection, wire: Wire, events: HandshakeEvents, head?: Uint8Array): void {
    this.#wire = wire
    const startedAt = monotonicMs()
    const onClose = (): void => {
      this.settle()
      events.onEnd()
    }
    wire.once('close', onClose)
    wire.once('handshake', ({ infoHash, peerId }) => {
      if (equalBytes(peerId, this.#peerId)) {
        events.onSelf(infoHash)
        return
      }
      wire.off('close', onClose)
      this.settle()
      const latencyMs = connection.incoming ? undefined : monotonicMs() - startedAt
      events.onHandshake({ connection, wire, peerId, infoHash, latencyMs })
    })
    join(connection, wire, { host: hostKey(connection.remote.host), head })
  }

  /** Closes the connection. */
  end(error?: TorrentError): void {
    this.settle()
    if (this.#wire === undefined) this.#connection.close(error)
    else this.#wire.destroy(error)
  }

  /** Stops the timeout, because the handshake arrived or the connection closed. */
  settle(): void {
    clearTimeout(this.#timer)
    this.#onSettled()
  }
}
