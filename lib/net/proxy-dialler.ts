import type { NetConnectOpts, Socket } from 'node:net'
import { formatAddress, type PeerAddress } from '../util/address.ts'
import { monotonicMs } from '../util/clock.ts'
import { debug } from '../util/debug.ts'
import { asError, isTorrentError, TorrentError } from '../util/errors.ts'
import { connected, dialError } from './connected.ts'
import type { ProxyHandshake } from './proxy-handshake.ts'
import type { ProxyServer } from './proxy-server.ts'
import { type Granted, shakeHands, TunnelFailure } from './proxy-tunnel.ts'
import type { SocketReader } from './tcp-connection.ts'

const log = debug('proxy')
/** Milliseconds without attempts after the proxy failed; doubles up to `most`. */
const restMs = { first: 1000, most: 15_000 }

/** A socket to a target, which reads nothing until it is resumed. */
export interface Tunnel extends Granted {
  readonly socket: Socket
}

/** Options of {@link ProxyDialler.dial}. */
export interface ProxyDialOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Reader for the `onread` option of the socket; without it, the socket emits `data`. */
  readonly reader?: SocketReader
}

/** Parts that a {@link ProxyDialler} uses. */
export interface ProxyDiallerParts {
  readonly proxy: ProxyServer
  /** Starts to connect a plain socket to an address. */
  open(to: PeerAddress, settings?: Pick<NetConnectOpts, 'onread'>): Socket
  /** Receives one warning for each outage of the proxy. */
  readonly onWarning: (warning: Error) => void
}

/** Dials through a proxy. While the proxy fails, dials fail at once, and one attempt is made from time to time. */
export class ProxyDialler {
  readonly #parts: ProxyDiallerParts
  #lastError: TorrentError | undefined
  #restMs = 0
  #restsUntil = 0
  /** Whether the proxy has ever done what it was asked. */
  #hasWorked = false
  #hasWarned = false

  constructor(parts: ProxyDiallerParts) {
    this.#parts = parts
  }

  get proxy(): ProxyServer {
    return this.#parts.proxy
  }

  /**
   * Connects to an address, whose host name the proxy resolves.
   * @throws TorrentError ERR_TRANSPORT_PROXY if the proxy failed, ERR_TRANSPORT_DIAL or ERR_TRANSPORT_TIMEOUT if
   * it could not reach the address; the signal's reason.
   */
  async dial(target: PeerAddress, options: ProxyDialOptions): Promise<Tunnel> {
    return this.#through(this.proxy.connect(target), target, options)
  }

  /** Opens a UDP relay, which lives as long as the socket. @throws TorrentError ERR_TRANSPORT_PROXY. */
  async associate(options: ProxyDialOptions): Promise<Tunnel> {
    return this.#through(this.proxy.associate(), this.proxy.address, options)
  }

  async #through(
    handshake: ProxyHandshake,
    target: PeerAddress,
    { timeoutMs, signal, reader }: ProxyDialOptions
  ): Promise<Tunnel> {
    const { proxy, open } = this.#parts
    const startMs = monotonicMs()
    const isProbe = this.#lastError !== undefined
    if (this.#lastError !== undefined && startMs < this.#restsUntil) throw this.#lastError
    // Other dials fail until this attempt has ended.
    if (isProbe) this.#restsUntil = startMs + timeoutMs
    let socket: Socket
    try {
      // The declared types allow a fixed buffer only, but Node has always accepted a function.
      const settings = reader && { onread: reader.option as unknown as NonNullable<NetConnectOpts['onread']> }
      socket = open(proxy.address, settings)
      socket.pause()
      await connected(socket, proxy.address, { timeoutMs, signal, isSecure: false })
    } catch (thrown) {
      if (signal?.aborted) this.#restsUntil = 0
      signal?.throwIfAborted()
      throw this.#failed(reasonOf(asError(thrown)), isProbe, thrown)
    }
    try {
      const leftMs = Math.max(1, timeoutMs - (monotonicMs() - startMs))
      const granted = await shakeHands(socket, handshake, { reader, timeoutMs: leftMs, signal })
      this.#worked()
      return { socket, ...granted }
    } catch (error) {
      if (error instanceof TunnelFailure) throw this.#explain(error, target, timeoutMs, isProbe)
      if (isProbe) this.#restsUntil = 0
      throw error
    }
  }

  #explain(
    { by, message, isTimeout }: TunnelFailure,
    target: PeerAddress,
    timeoutMs: number,
    isProbe: boolean
  ): TorrentError {
    if (by === 'proxy') return this.#failed(message, isProbe)
    if (by === 'policy') {
      const what = target === this.proxy.address ? 'it relays no UDP' : `it refuses ${formatAddress(target)}`
      const error = proxyError(this.proxy, `${what}: ${message}`)
      if (log.enabled) log('%s', error.message)
      this.#lastError = undefined
      this.#restMs = 0
      // A proxy that refuses everything is of no use; one that refuses some targets is.
      if (!this.#hasWorked && target !== this.proxy.address) this.#warn(error)
      return error
    }
    this.#worked()
    if (!isTimeout) return dialError(target, `${this.proxy.name} reports: ${message}`)
    const late = `${formatAddress(target)} did not answer within ${timeoutMs} ms`
    return new TorrentError('ERR_TRANSPORT_TIMEOUT', late, { details: { address: target, timeoutMs } })
  }

  #worked(): void {
    if (this.#lastError !== undefined && log.enabled) log('%s works again', this.proxy.name)
    this.#lastError = undefined
    this.#restMs = 0
    this.#hasWorked = true
    this.#hasWarned = false
  }

  #failed(reason: string, isProbe: boolean, cause?: unknown): TorrentError {
    const error = proxyError(this.proxy, reason, cause)
    if (log.enabled) log('%s', error.message)
    // Dials that began together fail together, and count once.
    if (isProbe || this.#lastError === undefined) {
      this.#restMs = Math.min(Math.max(2 * this.#restMs, restMs.first), restMs.most)
      this.#restsUntil = monotonicMs() + this.#restMs
    }
    this.#lastError = error
    this.#warn(error)
    return error
  }

  #warn(error: TorrentError): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#parts.onWarning(error)
  }
}

/** Returns the error of a proxy that failed. */
export function proxyError(proxy: ProxyServer, reason: string, cause?: unknown): TorrentError {
  const message = `the proxy ${proxy.name} failed: ${reason}; nothing is sent around it`
  return new TorrentError('ERR_TRANSPORT_PROXY', message, { cause, details: { proxy: proxy.name, reason } })
}

/** Returns the reason in an error of {@link connected}, without the address, which the proxy's name has. */
function reasonOf(error: Error): string {
  if (isTorrentError(error) && error.code === 'ERR_TRANSPORT_TIMEOUT') return 'it does not answer'
  return asError(error.cause ?? error).message
}
