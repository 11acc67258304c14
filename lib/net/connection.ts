import type { PeerAddress } from '../util/address.ts'

/** The protocol that carries a connection. */
export type TransportName = 'tcp' | 'utp'

/**
 * Encryption of a peer connection (MSE): none; of the handshake alone, so that the protocol is hidden at first
 * glance; or of all bytes by RC4.
 */
export type ConnectionEncryption = 'none' | 'handshake' | 'rc4'

/** A byte stream to a peer or server. */
export interface Connection {
  /** Address of the other end. The port of an incoming connection is not the listen port of that peer. */
  readonly remote: PeerAddress
  /** Whether the other end dialled us. */
  readonly incoming: boolean
  readonly transport: TransportName
  /** Encryption between peers (MSE); TLS does not count. */
  readonly encryption: ConnectionEncryption
  /** Bytes written that the system has not accepted yet. */
  readonly bytesQueued: number
  /** Maximum bytes of one `onReceive`; may be changed at any time. Undefined if it cannot be set. */
  receiveLength?: number
  /**
   * Starts delivery to a handler. A second call moves the connection to another handler, which first receives
   * `head`: bytes that the previous handler read but did not use.
   */
  start(handler: ConnectionHandler, head?: Uint8Array): void
  /** Stops reading until `resume`, which slows the other end down by flow control. */
  pause(): void
  /** Resumes reading. */
  resume(): void
  /**
   * Sends buffers in order, without copying: the caller must not change them until they are sent. Returns
   * false if the caller should wait for `onDrain`. Ignored after `close`.
   */
  write(buffers: readonly Uint8Array[]): boolean
  /** Closes at once and discards queued data; idempotent. `onClose` follows, with the error if there is one. */
  close(error?: Error): void
}

/** Callbacks of a {@link Connection}. After `close`, only `onClose` is called, exactly once, on the current handler. */
export interface ConnectionHandler {
  /**
   * Receives bytes in shared memory that is valid only during the call. Returning false pauses the connection
   * until `resume`.
   */
  onReceive(chunk: Uint8Array): boolean
  /** Called when writing may continue, after `write` returned false. */
  onDrain(): void
  /** Called when the connection is closed: by us, by the other end, or by an error. */
  onClose(error?: Error): void
}

/** TLS settings of a connection. */
export interface TlsOptions {
  /** Name that the certificate must be valid for; default the host that is dialled. */
  readonly serverName?: string | undefined
  /** Trusted CA certificates (PEM) instead of the built-in ones. */
  readonly ca?: string | readonly string[] | undefined
}

/** Options of {@link Transport.dial}. */
export interface DialOptions {
  readonly signal?: AbortSignal | undefined
  /** Maximum milliseconds to connect, including TLS; default 15,000. */
  readonly timeoutMs?: number | undefined
  /** Local IP address to dial from; default that of the transport. */
  readonly localAddress?: string | undefined
  /** TLS settings; default plain TCP. */
  readonly tls?: TlsOptions | undefined
}

/**
 * Decides by the first bytes of an incoming connection: accept it (`take`), wait for more bytes, or close it
 * (`refuse`).
 */
export type Sniff = (head: Uint8Array) => 'take' | 'wait' | 'refuse'

/** Options of {@link Transport.listen}. */
export interface ListenOptions {
  /** Local address; default all addresses of both families. */
  readonly host?: string | undefined
  /** Port to listen on; 0 for any free one. */
  readonly port: number
  /** Decides whether to accept a connection by its first bytes; without it, all are accepted at once. */
  readonly sniff?: Sniff | undefined
  /** Returns whether to close a connection of this host right after accept, before any object is created for it. */
  refuses?(host: string): boolean
  /** Receives an incoming connection; must call its `start` or `close`. */
  onConnection(connection: Connection): void
  /** Receives errors that do not stop the listener. */
  onWarning?(warning: Error): void
}

/** A listening port; accepts connections until it is closed. */
export interface Listener {
  /** Port it listens on. */
  readonly port: number
  /** Local address it listens on. */
  readonly host: string
  /** Stops accepting; open connections are not affected. Idempotent. */
  close(): Promise<void>
}

/** Dials and accepts connections. */
export interface Transport {
  /** Connects. Rejects with TorrentError ERR_TRANSPORT_DIAL or ERR_TRANSPORT_TIMEOUT, or the signal's reason. */
  dial(address: PeerAddress, options?: DialOptions): Promise<Connection>
  /** Starts listening. Rejects with TorrentError ERR_TRANSPORT_LISTEN. */
  listen(options: ListenOptions): Promise<Listener>
  /** Closes all listeners and connections, and aborts dials in progress; idempotent. */
  close(): Promise<void>
}
