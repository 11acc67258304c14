import { createServer, type Server, Socket, type SocketConstructorOpts } from 'node:net'
import { canonicalHost, formatAddress, type PeerAddress } from '../util/address.ts'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import type { Connection, DialOptions, Listener, ListenOptions, Transport } from './connection.ts'
import { IncomingSockets } from './incoming-sockets.ts'
import { connected, dialError, openSocket } from './open-socket.ts'
import { refuseHosts } from './refuse-hosts.ts'
import { SocketReader, TcpConnection } from './tcp-connection.ts'

const defaultTimeoutMs = 15_000
// A port that is taken is taken by a program that may have its neighbours too; then any port will do.
const portAttempts = 10

/** TCP over `node:net`. */
export class TcpTransport implements Transport {
  readonly #sockets = new Set<Socket>()
  readonly #listeners = new Set<Listener>()
  #closed = false

  async dial(address: PeerAddress, options: DialOptions = {}): Promise<Connection> {
    const { signal, timeoutMs = defaultTimeoutMs, localAddress, tls } = options
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs is ${timeoutMs} but must be above 0`)
    signal?.throwIfAborted()
    if (this.#closed) throw dialError(address, 'the transport is closed')
    if (!(Number.isInteger(address.port) && address.port >= 1 && address.port <= 65535)) {
      throw dialError(address, 'the port must be from 1 to 65535')
    }
    const reader = new SocketReader()
    let socket: Socket
    try {
      socket = openSocket(address, { localAddress, tls, reader })
    } catch (cause) {
      throw dialError(address, 'the address cannot be dialled', cause)
    }
    this.#track(socket)
    const connection = new TcpConnection(socket, address, false, reader)
    await connected(socket, address, { timeoutMs, signal, isSecure: tls !== undefined })
    return connection
  }

  async listen(options: ListenOptions): Promise<Listener> {
    const { port, onWarning } = options
    if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) {
      throw new RangeError(`port is ${port} but must be from 0 to 65535`)
    }
    const attempts =
      port === 0 ? [0] : [...Array(portAttempts).keys()].map((n) => port + n).filter((n) => n <= 65535)
    if (port !== 0) attempts.push(0)
    let cause: unknown
    for (const attempt of attempts) {
      if (this.#closed) break
      try {
        const listener = await this.#listenOn(options, attempt)
        if (port !== 0 && listener.port !== port) {
          onWarning?.(
            new TorrentError('ERR_TRANSPORT_LISTEN', `port ${port} is taken; listening on ${listener.port}`, {
              cause,
              details: { port, used: listener.port }
            })
          )
        }
        return listener
      } catch (error) {
        cause = error
        if (!['EADDRINUSE', 'EACCES'].includes(systemCode(error) ?? '')) break
      }
    }
    const where = formatAddress({ host: options.host ?? '::', port })
    throw new TorrentError('ERR_TRANSPORT_LISTEN', `cannot listen on ${where}`, { cause, details: { port } })
  }

  async close(): Promise<void> {
    this.#closed = true
    const closed = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all([...closed, ...[...this.#listeners].map((listener) => listener.close())])
  }

  async #listenOn(options: ListenOptions, port: number): Promise<Listener> {
    const { sniff } = options
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
    // A failed accept, when there are no more file descriptors for instance, does not stop the listener.
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

  /** Hands a connection on; `head` was read of it already. */
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

  // Every socket has a listener for its errors all its life, and is known until it is closed.
  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }
}

/**
 * Node gives `onread` to dialled sockets only. An accepted one gets it by moving its handle to a new socket, which
 * makes a download over it half as fast again; where that is not possible the accepted socket is returned.
 */
function withSharedMemory(accepted: Socket, reader: SocketReader): Socket {
  const holder: { _handle?: unknown } = accepted as unknown as { _handle?: unknown }
  const handle = holder._handle
  if (typeof handle !== 'object' || handle === null || !('readStop' in handle)) return accepted
  const options = { handle, pauseOnCreate: true, onread: reader.option }
  const socket = new Socket(options as unknown as SocketConstructorOpts)
  holder._handle = null
  // What is left of it would keep the server from closing.
  accepted.destroy()
  return socket
}

/** Binds the server and returns the host; without one, to both families, or to IPv4 where there is no IPv6. */
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
