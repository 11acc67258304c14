import {
  connect,
  createServer,
  type LookupFunction,
  type NetConnectOpts,
  type Server,
  Socket,
  type SocketConstructorOpts,
  type TcpNetConnectOpts
} from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { canonicalHost, formatAddress, type PeerAddress } from '../util/address.ts'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import { connected, dialError } from './connected.ts'
import type { Connection, DialOptions, Listener, ListenOptions, TlsOptions, Transport } from './connection.ts'
import { IncomingSockets } from './incoming-sockets.ts'
import { ProxyDialler } from './proxy-dialler.ts'
import type { ProxyServer } from './proxy-server.ts'
import { refuseHosts } from './refuse-hosts.ts'
import { SocketReader, TcpConnection } from './tcp-connection.ts'

const defaultTimeoutMs = 15_000

/** Options of {@link TcpTransport}. */
export interface TcpTransportOptions {
  /** Local IP address to connect from; default any. */
  readonly localAddress?: string | undefined
  /** Resolves host names for sockets; default the system's resolver. With a proxy, only the proxy's own name. */
  readonly lookup?: LookupFunction | undefined
  /** Proxy for all dials; default none. */
  readonly proxy?: ProxyServer | undefined
  /** Receives one warning for each outage of the proxy. */
  readonly onWarning?: ((warning: Error) => void) | undefined
}

/** Options of {@link TcpTransport.open}. */
export interface OpenOptions {
  /** Whether to use TLS. */
  readonly isSecure: boolean
  /** Aborts the wait for a proxy. */
  readonly signal?: AbortSignal | undefined
}

/** TCP and TLS over `node:net` and `node:tls`. */
export class TcpTransport implements Transport {
  readonly #options: TcpTransportOptions
  readonly #sockets = new Set<Socket>()
  readonly #listeners = new Set<Listener>()
  /** Dials through the proxy; undefined without one. */
  readonly proxy: ProxyDialler | undefined
  #closed = false

  constructor(options: TcpTransportOptions = {}) {
    this.#options = options
    const { proxy, localAddress, lookup, onWarning = () => {} } = options
    if (proxy === undefined) return
    const own = { noDelay: true, ...ifGiven({ localAddress, lookup }) }
    const open = ({ host, port }: PeerAddress, settings: Pick<NetConnectOpts, 'onread'> = {}): Socket =>
      this.#open({ host, port, ...own, ...settings }, false)
    // Connections that end because we close them say nothing about the proxy.
    const warn = (warning: Error): void => {
      if (!this.#closed) onWarning(warning)
    }
    this.proxy = new ProxyDialler({ proxy, open, onWarning: warn })
  }

  async dial(address: PeerAddress, options: DialOptions = {}): Promise<Connection> {
    const { signal, timeoutMs = defaultTimeoutMs, tls } = options
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs is ${timeoutMs} but must be above 0`)
    signal?.throwIfAborted()
    if (this.#closed) throw dialError(address, 'the transport is closed')
    if (!(Number.isInteger(address.port) && address.port >= 1 && address.port <= 65535)) {
      throw dialError(address, 'the port must be from 1 to 65535')
    }
    if (this.proxy !== undefined) return this.#dialThrough(this.proxy, address, options)
    const { localAddress = this.#options.localAddress } = options
    const { lookup } = this.#options
    // Node accepts `onread` only when it creates a socket; reading without it is a third slower.
    const reader = new SocketReader()
    const settings: NetConnectOpts = {
      host: address.host,
      port: address.port,
      noDelay: true,
      ...ifGiven({ localAddress, lookup }),
      ...(tls === undefined ? {} : tlsSettings(tls)),
      // The declared types allow a fixed buffer only, but Node has always accepted a function.
      onread: reader.option as unknown as NonNullable<NetConnectOpts['onread']>
    }
    const isSecure = tls !== undefined
    let socket: Socket
    try {
      socket = this.#open(settings, isSecure)
    } catch (cause) {
      throw dialError(address, 'the address cannot be dialled', cause)
    }
    // A TLS socket must read for its handshake.
    if (!isSecure) socket.pause()
    const connection = new TcpConnection(socket, address, false, reader)
    await connected(socket, address, { timeoutMs, signal, isSecure })
    return connection
  }

  /**
   * Starts to connect a socket, for protocols that need a socket and not a {@link Connection}; the transport
   * closes it on its own `close`. With a proxy, returns a promise of a socket that the proxy has connected. Throws or
   * rejects if Node rejects the settings or the proxy the target.
   */
  open(settings: TcpNetConnectOpts, { isSecure, signal }: OpenOptions): Socket | Promise<Socket> {
    return this.proxy === undefined
      ? this.#open(settings, isSecure)
      : this.#openThrough(this.proxy, settings, { isSecure, signal })
  }

  /** Dials through the proxy. The handshake uses the same reader as the connection, which keeps its shared memory. */
  async #dialThrough(proxy: ProxyDialler, address: PeerAddress, options: DialOptions): Promise<Connection> {
    const { signal, timeoutMs = defaultTimeoutMs, tls } = options
    if (tls === undefined) {
      const reader = new SocketReader()
      const { socket, rest } = await proxy.dial(address, { timeoutMs, signal, reader })
      return new TcpConnection(socket, address, false, reader, rest.length === 0 ? undefined : rest)
    }
    const { socket } = await proxy.dial(address, { timeoutMs, signal })
    const secure = this.#secure(socket, { host: address.host, port: address.port, ...tlsSettings(tls) })
    // Node does not read into shared memory through a second socket.
    const connection = new TcpConnection(secure, address, false)
    await connected(secure, address, { timeoutMs, signal, isSecure: true })
    return connection
  }

  async #openThrough(
    proxy: ProxyDialler,
    settings: TcpNetConnectOpts,
    { isSecure, signal }: OpenOptions
  ): Promise<Socket> {
    const { host = 'localhost', port } = settings
    const { socket, rest } = await proxy.dial({ host, port }, { timeoutMs: defaultTimeoutMs, signal })
    if (rest.length > 0) socket.unshift(rest)
    return isSecure ? this.#secure(socket, settings) : socket
  }

  #secure(socket: Socket, settings: ConnectionOptions): Socket {
    const secure = connectTls({ ...settings, socket })
    this.#track(secure)
    return secure
  }

  #open(settings: NetConnectOpts, isSecure: boolean): Socket {
    if (this.#closed) throw new TorrentError('ERR_TRANSPORT_DIAL', 'the transport is closed')
    const socket = isSecure ? connectTls(settings as ConnectionOptions) : connect(settings)
    this.#track(socket)
    return socket
  }

  async listen(options: ListenOptions): Promise<Listener> {
    const { port } = options
    if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) {
      throw new RangeError(`port is ${port} but must be from 0 to 65535`)
    }
    try {
      if (this.#closed) throw new Error('the transport is closed')
      return await this.#listenOn(options)
    } catch (cause) {
      const where = formatAddress({ host: options.host ?? '::', port })
      throw new TorrentError('ERR_TRANSPORT_LISTEN', `cannot listen on ${where}`, {
        cause,
        details: { port }
      })
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const closed = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all([...closed, ...[...this.#listeners].map((listener) => listener.close())])
  }

  async #listenOn(options: ListenOptions): Promise<Listener> {
    const { port, sniff } = options
    const incoming =
      sniff && new IncomingSockets(sniff, (accepted, head) => this.#accept(accepted, options, head))
    const server = createServer({ noDelay: true, pauseOnConnect: true }, (accepted) => {
      accepted.on('error', () => {})
      if (incoming === undefined) this.#accept(accepted, options)
      else incoming.add(accepted, accepted.remoteAddress ?? '')
    })
    const host = await bind(server, options.host, port)
    const refuses = options.refuses?.bind(options)
    if (refuses !== undefined) refuseHosts(server, refuses)
    // A failed accept, for example without free file descriptors, does not stop the listener.
    server.on('error', (error) => options.onWarning?.(error))
    const address = server.address()
    let closed: Promise<void> | undefined
    const listener: Listener = {
      port: typeof address === 'object' && address !== null ? address.port : port,
      host,
      close: () => {
        this.#listeners.delete(listener)
        incoming?.close()
        closed ??= new Promise((resolve) => server.close(() => resolve()))
        return closed
      }
    }
    this.#listeners.add(listener)
    if (this.#closed) await listener.close()
    return listener
  }

  /** Wraps an accepted socket and passes it on; `head` was already read from it. */
  #accept(accepted: Socket, { onConnection, onWarning }: ListenOptions, head?: Uint8Array): void {
    const { remoteAddress: host, remotePort: port } = accepted
    if (this.#closed || host === undefined || port === undefined) {
      accepted.destroy()
      return
    }
    const reader = new SocketReader()
    const socket = withSharedMemory(accepted, reader)
    this.#track(socket)
    const remote = { host: canonicalHost(host), port }
    const shared = socket === accepted ? undefined : reader
    const connection = new TcpConnection(socket, remote, true, shared, head)
    try {
      onConnection(connection)
    } catch (error) {
      connection.close(asError(error))
      onWarning?.(asError(error))
    }
  }

  // Every socket has an error listener throughout its life, and is tracked until it is closed.
  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }
}

/** Leaves out the settings that are undefined. */
function ifGiven({
  localAddress,
  lookup
}: Pick<TcpTransportOptions, 'localAddress' | 'lookup'>): Pick<TcpNetConnectOpts, 'localAddress' | 'lookup'> {
  return {
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(lookup === undefined ? {} : { lookup })
  }
}

function tlsSettings({ serverName, ca }: TlsOptions): Pick<ConnectionOptions, 'servername' | 'ca'> {
  return {
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] })
  }
}

/**
 * Moves the handle of an accepted socket to a new one with `onread`, which Node supports for dialled sockets
 * only. Downloads are 50 % faster that way. Returns the accepted socket if Node's internals do not allow it.
 */
function withSharedMemory(accepted: Socket, reader: SocketReader): Socket {
  const holder: { _handle?: unknown } = accepted as unknown as { _handle?: unknown }
  const handle = holder._handle
  if (typeof handle !== 'object' || handle === null || !('readStop' in handle)) return accepted
  const options = { handle, pauseOnCreate: true, onread: reader.option }
  const socket = new Socket(options as unknown as SocketConstructorOpts)
  holder._handle = null
  // The emptied socket would keep the server from closing.
  accepted.destroy()
  return socket
}

/** Binds the server and returns the host. Without a host, binds both families, or only IPv4 if there is no IPv6. */
async function bind(server: Server, host: string | undefined, port: number): Promise<string> {
  if (host !== undefined) {
    await bindTo(server, host, port)
    return host
  }
  try {
    await bindTo(server, '::', port)
    return '::'
  } catch (error) {
    if (!['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL', 'EPROTONOSUPPORT'].includes(systemCode(error) ?? ''))
      throw error
    await bindTo(server, '0.0.0.0', port)
    return '0.0.0.0'
  }
}

function bindTo(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onListening = (): void => {
      server.off('error', onError)
      resolve()
    }
    const onError = (error: Error): void => {
      server.off('listening', onListening)
      reject(error)
    }
    server.once('listening', onListening)
    server.once('error', onError)
    server.listen({ host, port, ipv6Only: false })
  })
}
