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

/** A connection over which the peer's handshake has come. */
export interface PeerConnection {
  readonly connection: ThrottledConnection
  readonly wire: Wire
  /** 20 bytes. */
  readonly peerId: Uint8Array
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  /** Round trip in milliseconds; undefined for a peer that has dialled us. */
  readonly latencyMs: number | undefined
}

/** Callbacks of a handshake that is waited for. */
export interface HandshakeEvents {
  /** The handshake is here; listeners for what follows it must be set before this returns. */
  onHandshake(peer: PeerConnection): void
  /** The other side is this client. It still counts as waiting, until its wire closes. */
  onSelf(infoHash: Uint8Array): void
  /** The connection has ended before a handshake was taken. */
  onEnd(): void
}

/** Options of {@link PendingHandshakes}. */
export interface PendingHandshakesOptions {
  /** Our own; 20 bytes. */
  readonly peerId: Uint8Array
  /** How many may wait; default any number. */
  readonly most?: number
  /** How long each may take, default 10 s. */
  readonly timeoutMs?: number | undefined
}

/** The handshakes (BEP 3) that are waited for. Each has its time; when there are too many, the oldest ends. */
export class PendingHandshakes {
  readonly #peerId: Uint8Array
  readonly #most: number
  readonly #timeoutMs: number
  /** The oldest first. */
  readonly #pending = new LazySet<PendingHandshake>()

  constructor(options: PendingHandshakesOptions) {
    const { peerId, most = Number.POSITIVE_INFINITY, timeoutMs = limits.handshakeMs } = options
    this.#peerId = peerId
    this.#most = most
    this.#timeoutMs = timeoutMs
  }

  /** Counts a connection whose handshake is to come, and gives it its time. */
  begin(connection: Connection): PendingHandshake {
    if (this.#pending.size >= this.#most) {
      const [oldest] = this.#pending
      oldest?.end(new TorrentError('ERR_TRANSPORT_TIMEOUT', 'no handshake came, and others wait'))
    }
    const pending = new PendingHandshake(connection, this.#peerId, this.#timeoutMs, () => {
      this.#pending.delete(pending)
    })
    this.#pending.add(pending)
    return pending
  }

  /** Ends all of them. */
  close(): void {
    for (const pending of this.#pending) pending.end()
  }
}

/** A connection whose handshake is waited for, first without and then with a wire. */
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

  /** Lets a wire talk over the connection, which may be wrapped by now; `head` was read of it already. */
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

  /** Ends the connection. */
  end(error?: TorrentError): void {
    this.settle()
    if (this.#wire === undefined) this.#connection.close(error)
    else this.#wire.destroy(error)
  }

  /** Waits no more: the handshake is here, or the connection has ended. */
  settle(): void {
    clearTimeout(this.#timer)
    this.#onSettled()
  }
}
