import { createSocket, type Socket } from 'node:dgram'
import { formatAddress, isIP, type PeerAddress } from '../util/address.ts'
import { debug } from '../util/debug.ts'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import { Claims } from './claims.ts'
import type { DatagramClaim, DatagramPort } from './datagram-port.ts'

const log = debug('net')

/** Options of {@link bindUdpPort}. */
export interface UdpPortOptions {
  /** 4 for IPv4, 6 for IPv6 only. */
  readonly family: 4 | 6
  /** Numeric address to bind; default every address of the family. */
  readonly host?: string
  /** Port to bind, 0 to 65535; default 0, any free one. */
  readonly port?: number
  /** Whether the process may exit while the socket is open; default false. */
  readonly unref?: boolean
  /** Whether multicast leaves through the interface of `host`; default the system decides. */
  readonly multicast?: boolean
  /** Receives errors of the bound socket and of claims that threw; the port stays open. */
  readonly onWarning?: (error: Error) => void
  /** Called when the socket is being closed. */
  readonly onClosed?: () => void
}

// "Port unreachable" from one peer must not disturb a socket that serves many. The same goes for an invalid host.
const harmlessCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETRESET',
  'EMSGSIZE',
  'ENOTFOUND'
])

/** Receive buffer in bytes: some 40 ms of a fast link. Linux limits it to 208 KiB by default. */
const receiveBufferBytes = 4 << 20
/** Smallest size to try, on systems that refuse larger ones. */
const receiveBufferBytesMin = 256 << 10

/** A bound socket that several claims share. */
class UdpPort implements DatagramPort {
  readonly family: 4 | 6
  readonly port: number
  readonly #socket: Socket
  readonly #claims: Claims
  readonly #onClosed: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(socket: Socket, { family, onWarning, onClosed }: UdpPortOptions) {
    this.family = family
    this.port = socket.address().port
    this.#socket = socket
    this.#onClosed = onClosed
    this.#claims = new Claims(onWarning)
    socket.on('message', (message, { address, port }) =>
      this.#claims.deliver(message, { host: address, port })
    )
    socket.on('error', (error) => {
      if (!harmlessCodes.has(systemCode(error) ?? '')) onWarning?.(error)
    })
  }

  get bytesQueued(): number {
    return this.#closing === undefined ? this.#socket.getSendQueueSize() : 0
  }

  send(message: Uint8Array, { host, port }: PeerAddress, onError?: (error: Error) => void): void {
    try {
      // A callback adds a seventh to the cost of a datagram.
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
      this.#onClosed?.()
      this.#socket.close(() => resolve())
    })
    return this.#closing
  }
}

/**
 * Binds one UDP socket that several claims can share; resolves when it is bound.
 * @throws TorrentError ERR_TRANSPORT_LISTEN if the address cannot be bound.
 */
export function bindUdpPort(options: UdpPortOptions): Promise<DatagramPort> {
  const { family, port = 0, unref = false } = options
  const host = options.host ?? (family === 6 ? '::' : '0.0.0.0')
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    ipv6Only: family === 6,
    // Addresses are numeric, so sending needs neither the resolver nor a turn of the event loop.
    lookup: (name, _options, callback) => {
      if (isIP(name) !== 0) callback(null, name, isIP(name))
      else
        callback(
          Object.assign(new Error(`'${name}' is not an IP address`), { code: 'ENOTFOUND' }),
          '',
          family
        )
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
      if (!Number.isInteger(port) || port < 0 || port > 65535)
        throw new RangeError('the port must be from 0 to 65535')
      if (isIP(host) !== family) throw new RangeError(`'${host}' is not an IPv${family} address`)
      socket.bind({ port, address: host, exclusive: true }, () => {
        socket.off('error', onBindError)
        if (options.multicast === true) sendMulticastFrom(socket, host)
        else enlargeReceiveBuffer(socket)
        resolve(new UdpPort(socket, options))
      })
    } catch (error) {
      onBindError(asError(error))
    }
  })
}

/** Chooses the interface of an address for multicast; the TTL of 2 is that of UPnP. */
function sendMulticastFrom(socket: Socket, host: string): void {
  try {
    socket.setMulticastInterface(host)
    socket.setMulticastTTL(2)
  } catch (thrown) {
    if (log.enabled) log('multicast from %s: %s', host, asError(thrown).message)
  }
}

/** Requests a large buffer: Linux caps the size, other systems refuse sizes above their limit. */
function enlargeReceiveBuffer(socket: Socket): void {
  for (let bytes = receiveBufferBytes; bytes >= receiveBufferBytesMin; bytes /= 2) {
    try {
      socket.setRecvBufferSize(bytes)
      if (log.enabled)
        log('port %d has %d bytes to receive', socket.address().port, socket.getRecvBufferSize())
      return
    } catch {
      // Half the size may be allowed.
    }
  }
}
