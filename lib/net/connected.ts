import { connect, type LookupFunction, type NetConnectOpts, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { formatAddress, type PeerAddress } from '../util/address.ts'
import { TorrentError } from '../util/errors.ts'
import type { TlsOptions } from './connection.ts'
import type { SocketReader } from './tcp-connection.ts'

/** How {@link openSocket} connects. */
export interface SocketOptions {
  readonly localAddress?: string | undefined
  readonly lookup?: LookupFunction | undefined
  readonly tls?: TlsOptions | undefined
  /** Takes what the socket reads. Node takes a reader only while it makes a socket, and reading without one costs a third of the rate. */
  readonly reader: SocketReader
}

/** Begins to connect; the socket is paused unless it speaks TLS, whose handshake must be read. May throw for an address that is none. */
export function openSocket({ host, port }: PeerAddress, options: SocketOptions): Socket {
  const { localAddress, lookup, tls, reader } = options
  const settings: NetConnectOpts = {
    host,
    port,
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(lookup === undefined ? {} : { lookup }),
    // The declared types know a fixed buffer only; Node has taken a function since `onread` exists.
    onread: reader.option as unknown as NonNullable<NetConnectOpts['onread']>
  }
  if (tls === undefined) return connect(settings).pause()
  const { serverName, ca } = tls
  const secured: ConnectionOptions = {
    ...(settings as ConnectionOptions),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] })
  }
  return connectTls(secured)
}

/** How long {@link connected} waits. */
export interface ConnectedOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Whether the handshake of TLS is waited for too. */
  readonly isSecure: boolean
}

/** Resolves when a socket is connected, and destroys it otherwise. */
export function connected(
  socket: Socket,
  address: PeerAddress,
  { timeoutMs, signal, isSecure }: ConnectedOptions
): Promise<void> {
  const event = isSecure ? 'secureConnect' : 'connect'
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.off(event, onConnect)
      socket.off('error', onError)
      socket.off('close', onClose)
      if (error === undefined) {
        resolve()
      } else {
        socket.destroy()
        reject(error)
      }
    }
    const onConnect = (): void => settle()
    const onError = (cause: Error): void => settle(dialError(address, cause.message, cause))
    const onClose = (): void => settle(dialError(address, 'the transport was closed'))
    const onAbort = (): void =>
      settle(signal?.reason ?? new TorrentError('ERR_UTIL_ABORTED', 'dialling was aborted'))
    const timer = setTimeout(() => {
      const message = `${formatAddress(address)} did not answer within ${timeoutMs} ms`
      settle(new TorrentError('ERR_TRANSPORT_TIMEOUT', message, { details: { address, timeoutMs } }))
    }, timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.on(event, onConnect)
    socket.on('error', onError)
    socket.on('close', onClose)
  })
}

/** The error of a dial that failed. */
export function dialError(address: PeerAddress, message: string, cause?: unknown): TorrentError {
  return new TorrentError(
    'ERR_TRANSPORT_DIAL',
    `${formatAddress(address)} could not be reached: ${message}`,
    {
      cause,
      details: { address }
    }
  )
}
