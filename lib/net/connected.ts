import type { Socket } from 'node:net'
import { formatAddress, type PeerAddress } from '../util/address.ts'
import { TorrentError } from '../util/errors.ts'

/** Options of {@link connected}. */
export interface ConnectedOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Whether to wait for the TLS handshake as well. */
  readonly isSecure: boolean
}

/** Resolves when a socket is connected. Destroys it on error, timeout or abort, and rejects. */
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

/** Returns the error of a failed dial. */
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
