import type { Socket } from 'node:net'
import type { PeerAddress } from '../util/address.ts'
import type { Blame, ProxyHandshake, ProxyStep } from './proxy-handshake.ts'
import type { SocketReader } from './tcp-connection.ts'

/** A granted request. */
export interface Granted {
  /** Bytes of the target that came with the answer. */
  readonly rest: Uint8Array
  /** Address in the proxy's answer, if it has one. */
  readonly bound?: PeerAddress
}

/** Failure of a handshake. */
export class TunnelFailure extends Error {
  readonly by: Blame
  readonly isTimeout: boolean

  constructor(by: Blame, reason: string, isTimeout = false) {
    super(reason)
    this.by = by
    this.isTimeout = isTimeout
  }
}

/** Options of {@link shakeHands}. */
export interface ShakeHandsOptions {
  /** Reader that the socket was created with; without it, the socket emits `data`. */
  readonly reader: SocketReader | undefined
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/**
 * Runs the handshake on a socket that is connected to the proxy, and pauses the socket. On failure, timeout or
 * abort, destroys the socket and rejects with a TunnelFailure or the signal's reason.
 */
export function shakeHands(
  socket: Socket,
  handshake: ProxyHandshake,
  { reader, timeoutMs, signal }: ShakeHandsOptions
): Promise<Granted> {
  return new Promise((resolve, reject) => {
    const settle = (granted: Granted | undefined, error?: unknown): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.off('data', onData)
      socket.off('error', onError)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
      if (reader !== undefined) reader.receiver = undefined
      if (granted === undefined) {
        socket.destroy()
        reject(error)
      } else {
        socket.pause()
        resolve(granted)
      }
    }
    const take = (step: ProxyStep): boolean => {
      if (step.state === 'granted') settle(step)
      else if (step.state === 'refused') settle(undefined, new TunnelFailure(step.by, step.reason))
      else if (step.send !== undefined) socket.write(step.send)
      return step.state === 'more'
    }
    const onData = (chunk: Uint8Array): boolean => take(handshake.push(chunk))
    const onError = (error: Error): void => settle(undefined, new TunnelFailure('proxy', error.message))
    const onEnd = (): void => {
      // Some proxies close the connection if they cannot reach the target.
      const by = handshake.isAsked ? 'policy' : 'proxy'
      settle(undefined, new TunnelFailure(by, 'it closed the connection without an answer'))
    }
    const onAbort = (): void => settle(undefined, signal?.reason)
    const timer = setTimeout(() => {
      // A proxy that was told the target may still be waiting for it.
      const error = handshake.isAsked
        ? new TunnelFailure('target', 'no answer', true)
        : new TunnelFailure('proxy', 'it does not answer', true)
      settle(undefined, error)
    }, timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.on('error', onError)
    socket.on('end', onEnd)
    socket.on('close', onEnd)
    if (!take(handshake.begin())) return
    if (reader !== undefined) reader.receiver = { receiveLength: Number.POSITIVE_INFINITY, receive: onData }
    else socket.on('data', onData)
    socket.resume()
  })
}
