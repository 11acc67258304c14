import type { PeerAddress } from '../util/address.ts'

/** A connection to a peer or server that moves bytes and knows nothing of their meaning. */
export interface Connection {
  /** The other end; the port of an incoming connection is not the one on which that peer listens. */
  readonly remote: PeerAddress
  /** Whether the other end dialled. */
  readonly incoming: boolean
  /** Bytes written and not yet taken by the system. */
  readonly bytesQueued: number
  /** At most so many bytes come with one `onReceive`; may be changed at any time. Undefined where it cannot be chosen. */
  receiveLength?: number
  /**
   * Begins to deliver; nothing is delivered before. Called again, it gives the connection to another handler, to which `head` comes
   * first: bytes that the handler before has read and hands on.
   */
  start(handler: ConnectionHandler, head?: Uint8Array): void
  /** Stops reading until `resume`, so that the other end is held back in time. */
  pause(): void
  /** Goes on reading. */
  resume(): void
  /**
   * Sends buffers in order, without a copy: they must stay as they are until they are sent. False asks the caller to
   * wait for `onDrain`. Ignored after `close`.
   */
  write(buffers: readonly Uint8Array[]): boolean
  /** Closes at once, whatever is queued; idempotent. `onClose` follows with the error given, if any. */
  close(error?: Error): void
}

/** The callbacks of a {@link Connection}. After `close` there is `onClose`, exactly once for the handler that it has then, and nothing else. */
export interface ConnectionHandler {
  /** Bytes came, in memory that all connections share and that is lent for the call. False pauses the connection until its `resume` is called. */
  onReceive(chunk: Uint8Array): boolean
  /** After `write` returned false: it may go on. */
  onDrain(): void
  /** The connection is closed: by us, by the other end, or by an error. */
  onClose(error?: Error): void
}

/** How a connection is encrypted with TLS. */
export interface TlsOptions {
  /** The name that the certificate must be valid for; default the host that is dialled. */
  readonly serverName?: string | undefined
  /** Trusted certificates (PEM) instead of the built-in ones. */
  readonly ca?: string | readonly string[] | undefined
}

/** Options of {@link Transport.dial}. */
export interface DialOptions {
  readonly signal?: AbortSignal | undefined
  /** How long connecting may take, TLS included; 15 s by default. */
  readonly timeoutMs?: number | undefined
  /** The local IP address to dial from; default that of the transport. */
  readonly localAddress?: string | undefined
  /** Speaks TLS; default plain TCP. */
  readonly tls?: TlsOptions | undefined
}

/** Judges the first bytes of an incoming connection: whether they suffice, more must come, or it is to be closed. */
export type Sniff = (head: Uint8Array) => 'take' | 'wait' | 'refuse'

/** Options of {@link Transport.listen}. */
export interface ListenOptions {
  /** The local address; all of both families by default. */
  readonly host?: string | undefined
  /** The port, 0 for any. */
  readonly port: number
  /** Judges connections before they are taken; without it they are taken at once. */
  readonly sniff?: Sniff | undefined
  /** Whether a connection of a host is closed as soon as it is accepted, before anything is made for it; asked for each. */
  refuses?(host: string): boolean
  /** Takes an incoming connection; it must `start` or `close` it. */
  onConnection(connection: Connection): void
  /** Told of what does not stop the listener. */
  onWarning?(warning: Error): void
}

/** Accepts connections until it is closed. */
export interface Listener {
  /** The port that is listened on. */
  readonly port: number
  /** The address that is listened on. */
  readonly host: string
  /** Accepts no more; connections that stand go on. Idempotent. */
  close(): Promise<void>
}

/** A way to reach peers and to be reached. */
export interface Transport {
  /** Connects. Rejects with TorrentError ERR_TRANSPORT_DIAL or ERR_TRANSPORT_TIMEOUT, or the signal's reason. */
  dial(address: PeerAddress, options?: DialOptions): Promise<Connection>
  /** Listens. Rejects with TorrentError ERR_TRANSPORT_LISTEN. */
  listen(options: ListenOptions): Promise<Listener>
  /** Closes listeners, connections and dials under way; idempotent. */
  close(): Promise<void>
}
