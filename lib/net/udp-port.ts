import { createSocket, type Socket } from 'node:dgram'
import { formatAddress, isIP, type PeerAddress } from '../util/address.ts'
import { debug } from '../util/debug.ts'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import { Claims } from './claims.ts'
import type { DatagramClaim, DatagramPort } from './datagram-port.ts'

const log = debug('net')

/** Where and how {@link bindUdpPort} binds. */
export interface UdpPortOptions {
  /** IPv4 (4) or IPv6 without IPv4 (6). */
  readonly family: 4 | 6
  /** Numeric address to bind; default every address of the family. */
  readonly host?: string
  /** Port to bind, 0 to 65535; default 0, any free one. */
  readonly port?: number
  /** Whether the open socket alone lets the process end; default false. */
  readonly unref?: boolean
  /** Hears of faults of the bound socket and of claims that threw; the port stays open. */
  readonly onWarning?: (error: Error) => void
}

// One far peer's "port unreachable" must not disturb a socket that serves many, nor must a host that is no address.
const harmlessCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETRESET',
  'EMSGSIZE',
  'ENOTFOUND'
])

/** Bytes of datagrams that wait for the event loop: some 40 ms of a fast link. Linux allows 208 KiB unless it is told otherwise. */
const receiveBufferBytes = 4 << 20
/** Systems that refuse more than they allow take at least so much. */
const receiveBufferBytesMin = 256 << 10

/** A bound socket that is shared out by claims. */
class UdpPort implements DatagramPort {
  readonly family: 4 | 6
  readonly port: number
  readonly #socket: Socket
  readonly #onWarning: ((error: Error) => void) | undefined
  readonly #claims = new Claims()
  /** Claims that took datagrams in this turn of the event loop, and want to know its end. */
  readonly #served = new Set<DatagramClaim>()
  #closing: Promise<void> | undefined

  constructor(socket: Socket, { family, onWarning }: UdpPortOptions) {
    this.family = family
    this.port = socket.address().port
    this.#socket = socket
    this.#onWarning = onWarning
    socket.on('message', (message, { address, port }) => this.#receive(message, { host: address, port }))
    socket.on('error', (error) => {
      if (!harmlessCodes.has(systemCode(error) ?? '')) onWarning?.(error)
    })
  }

  get bytesQueued(): number {
    return this.#closing === undefined ? this.#socket.getSendQueueSize() : 0
  }

  send(message: Uint8Array, { host, port }: PeerAddress, onError?: (error: Error) => void): void {
    try {
      // A callback costs a seventh of a datagram.
      if (onError === undefined) this.#socket.send(message, port, host)
      else
        this.#socket.send(message, port, host, (error) => {
          if (error && this.#closing === undefined) onError(error)
        })
    } catch (error) {
      onError?.(asError(error))
    }
  }

  claim(claim: DatagramClaim): () => void {
    this.#claims.add(claim)
    return () => this.#claims.delete(claim)
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#claims.clear()
      this.#socket.close(() => resolve())
    })
    return this.#closing
  }

  #receive(message: Uint8Array, from: PeerAddress): void {
    try {
      for (const claim of this.#claims.for(message)) {
        if (!claim.matches(message, from)) continue
        if (claim.onTurnEnd !== undefined) this.#serve(claim)
        claim.receive(message, from)
        return
      }
    } catch (error) {
      this.#onWarning?.(asError(error))
    }
  }

  #serve(claim: DatagramClaim): void {
    if (this.#served.size === 0) setImmediate(() => this.#endTurn())
    this.#served.add(claim)
  }

  #endTurn(): void {
    const served = [...this.#served]
    this.#served.clear()
    for (const claim of served) {
      if (!this.#claims.has(claim)) continue
      try {
        claim.onTurnEnd?.()
      } catch (error) {
        this.#onWarning?.(asError(error))
      }
    }
  }
}

/**
 * Binds one UDP socket and shares it out by claims; resolves once it is bound.
 * @throws TorrentError ERR_TRANSPORT_LISTEN when the address cannot be bound.
 */
export function bindUdpPort(options: UdpPortOptions): Promise<DatagramPort> {
  const { family, port = 0, unref = false } = options
  const host = options.host ?? (family === 6 ? '::' : '0.0.0.0')
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    ipv6Only: family === 6,
    // Addresses are numeric, so that sending needs neither the resolver nor a turn of the event loop.
    lookup: (name, _options, callback) => {
      if (isIP(name) !== 0) callback(null, name, isIP(name))
      else callback(Object.assign(new Error(`'${name}' is no IP address`), { code: 'ENOTFOUND' }), '', family)
    }
  })
  if (unref) socket.unref()
  return new Promise((resolve, reject) => {
    const onBindError = (cause: Error): void => {
      socket.close()
      const where = formatAddress({ host, port })
      reject(
        new TorrentError(
          'ERR_TRANSPORT_LISTEN',
          `UDP ${where} cannot be bound: ${systemCode(cause) ?? cause.message}`,
          {
            cause,
            details: { host, port, family }
          }
        )
      )
    }
    socket.once('error', onBindError)
    try {
      if (!Number.isInteger(port) || port < 0 || port > 65535) throw new RangeError('a port is 0 to 65535')
      if (isIP(host) !== family) throw new RangeError(`no IPv${family} address`)
      socket.bind({ port, address: host, exclusive: true }, () => {
        socket.off('error', onBindError)
        enlargeReceiveBuffer(socket)
        resolve(new UdpPort(socket, options))
      })
    } catch (error) {
      onBindError(asError(error))
    }
  })
}

/** Asks for a large buffer: Linux gives what it allows, and other systems refuse too much. */
function enlargeReceiveBuffer(socket: Socket): void {
  for (let bytes = receiveBufferBytes; bytes >= receiveBufferBytesMin; bytes /= 2) {
    try {
      socket.setRecvBufferSize(bytes)
      if (log.enabled)
        log('port %d has %d bytes to receive', socket.address().port, socket.getRecvBufferSize())
      return
    } catch {
      // Half of it may be allowed.
    }
  }
}
