import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import type { Socket } from 'node:net'
import { isIP, type PeerAddress } from '../util/address.ts'
import { monotonicMs } from '../util/clock.ts'
import { debug } from '../util/debug.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { ipScope } from '../util/ip-scope.ts'
import { Claims } from './claims.ts'
import type { DatagramClaim, DatagramPort } from './datagram-port.ts'
import { reach } from './host-guard.ts'
import { limits } from './limits.ts'
import { type ProxyDialler, proxyError } from './proxy-dialler.ts'
import { encodeSocksHeader, parseSocksDatagram } from './socks-datagram.ts'

const log = debug('proxy')
/** Milliseconds without a relay after it was lost or refused; doubles up to `most` until one has delivered a datagram. */
const restMs = { first: 1000, most: 60_000 }
const openMs = 15_000
/** Milliseconds between keep-alives, which find out that the proxy is gone without a word. */
const keepAliveMs = 30_000

interface Waiting {
  readonly message: Uint8Array
  readonly to: PeerAddress
  readonly onError: ((error: Error) => void) | undefined
}

/** Options of a {@link SocksRelay}. */
export interface SocksRelayOptions {
  readonly dialler: ProxyDialler
  /** Local address to send from. */
  readonly localAddress: string | undefined
  /** Receives one warning for each outage of the relay, and the errors of claims that throw. */
  readonly onWarning: (warning: Error) => void
}

/**
 * The UDP relay of a SOCKS5 proxy, with a port for each address family. It is opened for the first datagram, and again
 * after it was lost, once a datagram is to be sent. Without it nothing is sent or received: the socket is closed as
 * soon as the TCP connection that keeps the relay alive ends.
 */
export class SocksRelay {
  readonly #options: SocksRelayOptions
  readonly #ports: { readonly 4: RelayPort; readonly 6: RelayPort }
  readonly #abort = new AbortController()
  #socket: UdpSocket | undefined
  #control: Socket | undefined
  /** Datagrams that wait while the relay is being opened; undefined at other times. */
  #waiting: Waiting[] | undefined
  #lastError: Error | undefined
  #restMs = 0
  #restsUntil = 0
  #hasWarned = false

  constructor(options: SocksRelayOptions) {
    this.#options = options
    const { onWarning } = options
    this.#ports = { 4: new RelayPort(4, this, onWarning), 6: new RelayPort(6, this, onWarning) }
  }

  /** Returns the port of a family; both use the same relay. */
  port(family: 4 | 6): DatagramPort {
    return this.#ports[family]
  }

  /** Bytes sent that the system has not accepted yet. */
  get bytesQueued(): number {
    return this.#socket?.getSendQueueSize() ?? 0
  }

  /** Sends a datagram, or keeps it while the relay is being opened; `onError` receives failures. */
  send(message: Uint8Array, to: PeerAddress, onError: ((error: Error) => void) | undefined): void {
    if (this.#abort.signal.aborted) return
    const socket = this.#socket
    if (socket !== undefined) {
      this.#sendNow(socket, { message, to, onError })
    } else if (this.#waiting !== undefined) {
      if (this.#waiting.length < limits.relayQueue) this.#waiting.push({ message, to, onError })
    } else if (this.#lastError !== undefined && monotonicMs() < this.#restsUntil) {
      onError?.(this.#lastError)
    } else {
      this.#waiting = [{ message, to, onError }]
      void this.#open()
    }
  }

  /** Closes the relay; idempotent. */
  async close(): Promise<void> {
    this.#abort.abort(new TorrentError('ERR_UTIL_ABORTED', 'the network is closed'))
    for (const port of [this.#ports[4], this.#ports[6]]) port.clear()
    this.#shut()
  }

  async #open(): Promise<void> {
    const { dialler } = this.#options
    const { signal } = this.#abort
    let control: Socket | undefined
    try {
      const granted = await dialler.associate({ timeoutMs: openMs, signal })
      control = granted.socket
      const relay = relayAddress(granted.bound, control)
      const socket = await this.#bind(relay)
      if (signal.aborted || control.destroyed || control.readableEnded) {
        socket.close()
        throw signal.reason ?? new Error('the proxy has closed the relay')
      }
      this.#use(socket, control)
    } catch (thrown) {
      control?.destroy()
      if (!signal.aborted) this.#failed(asError(thrown))
    }
  }

  #use(socket: UdpSocket, control: Socket): void {
    this.#socket = socket
    this.#control = control
    control.setKeepAlive(true, keepAliveMs)
    control.on('end', () => this.#lost(control))
    control.on('close', () => this.#lost(control))
    // The proxy sends nothing more, but its end must be read.
    control.resume()
    if (log.enabled) log('%s relays UDP', this.#options.dialler.proxy.name)
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const one of waiting) this.#sendNow(socket, one)
  }

  #sendNow(socket: UdpSocket, { message, to, onError }: Waiting): void {
    const header = encodeSocksHeader(to)
    if (header === undefined) {
      onError?.(new Error('the host name is malformed'))
      return
    }
    try {
      if (onError === undefined) socket.send([header, message])
      else
        socket.send([header, message], (error) => {
          if (error && socket === this.#socket) onError(error)
        })
    } catch (error) {
      onError?.(asError(error))
    }
  }

  /** Returns a socket that the system connects to the relay, so that it receives from and sends to the relay only. */
  #bind({ host, port }: PeerAddress): Promise<UdpSocket> {
    const { localAddress } = this.#options
    const family = isIP(host) === 6 ? 6 : 4
    const socket = createSocket({ type: `udp${family}` })
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close()
        reject(error)
      })
      const isUsable = localAddress !== undefined && isIP(localAddress) === family
      socket.bind({ port: 0, exclusive: true, ...(isUsable ? { address: localAddress } : {}) }, () => {
        // Node passes an error to this callback, which its types do not declare.
        const onConnect = (error?: Error): void => {
          if (error !== undefined) {
            socket.close()
            reject(error)
            return
          }
          socket.removeAllListeners('error')
          // "Port unreachable" comes before the end of the TCP connection when a proxy is killed.
          socket.on('error', (error) => log.enabled && log('relay: %s', error.message))
          socket.on('message', (datagram) => this.#receive(datagram))
          resolve(socket)
        }
        socket.connect(port, host, onConnect)
      })
    })
  }

  #receive(datagram: Uint8Array): void {
    const parsed = parseSocksDatagram(datagram)
    if (parsed === undefined) return
    this.#restMs = 0
    this.#hasWarned = false
    const { from, message } = parsed
    this.#ports[isIP(from.host) === 6 ? 6 : 4].deliver(message, from)
  }

  #lost(control: Socket): void {
    if (control !== this.#control) return
    this.#shut()
    if (this.#abort.signal.aborted) return
    this.#failed(proxyError(this.#options.dialler.proxy, 'it has closed the UDP relay'))
  }

  #shut(): void {
    this.#control?.destroy()
    this.#control = undefined
    const socket = this.#socket
    this.#socket = undefined
    socket?.close()
  }

  #failed(error: Error): void {
    this.#lastError = error
    this.#restMs = Math.min(Math.max(2 * this.#restMs, restMs.first), restMs.most)
    this.#restsUntil = monotonicMs() + this.#restMs
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    if (log.enabled) log('no UDP relay: %s', error.message)
    const { dialler, onWarning } = this.#options
    if (!this.#hasWarned) {
      this.#hasWarned = true
      const what = `the DHT and UDP trackers are off until ${dialler.proxy.name} relays UDP`
      onWarning(new TorrentError('ERR_TRANSPORT_PROXY', `${what}: ${error.message}`, { cause: error }))
    }
    for (const { onError } of waiting) onError?.(error)
  }
}

/** One address family of a {@link SocksRelay}. */
class RelayPort implements DatagramPort {
  readonly family: 4 | 6
  /** The relay's own port says nothing about the one that others see. */
  readonly port: number = 0
  readonly isRelay: boolean = true
  readonly #relay: SocksRelay
  readonly #claims: Claims

  constructor(family: 4 | 6, relay: SocksRelay, onWarning: (warning: Error) => void) {
    this.family = family
    this.#relay = relay
    this.#claims = new Claims(onWarning)
  }

  get bytesQueued(): number {
    return this.#relay.bytesQueued
  }

  send(message: Uint8Array, to: PeerAddress, onError?: (error: Error) => void): void {
    this.#relay.send(message, to, onError)
  }

  claim(claim: DatagramClaim): () => void {
    this.#claims.add(claim)
    return () => this.#claims.delete(claim)
  }

  deliver(message: Uint8Array, from: PeerAddress): void {
    this.#claims.deliver(message, from)
  }

  clear(): void {
    this.#claims.clear()
  }

  /** Unregisters all claims; the relay stays open for the other family. */
  async close(): Promise<void> {
    this.clear()
  }
}

/**
 * Returns the address to which datagrams go: the one that the proxy has named; the proxy's own if that is unspecified,
 * a host name, or more local than the proxy, as behind a misconfigured router.
 */
function relayAddress(bound: PeerAddress | undefined, control: Socket): PeerAddress {
  const { remoteAddress = '' } = control
  const { host = '', port = 0 } = bound ?? {}
  if (port === 0) throw new Error('the proxy has named no port for UDP')
  const isUsable =
    isIP(host) !== 0 &&
    !/^(?:0\.0\.0\.0|::)$/.test(host) &&
    reach[ipScope(host)] >= reach[ipScope(remoteAddress)]
  return { host: isUsable ? host : remoteAddress, port }
}
