import { createSocket } from 'node:dgram'
import { formatAddress, isIP } from '../util/address.ts'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import type { DatagramClaim, DatagramPort } from './datagram-port.ts'

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

// One far peer's "port unreachable" must not disturb a socket that serves many.
const icmpCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETRESET',
  'EMSGSIZE'
])

/**
 * Binds one UDP socket and shares it out by claims; resolves once it is bound.
 * @throws TorrentError ERR_TRANSPORT_LISTEN when the address cannot be bound.
 */
export function bindUdpPort(options: UdpPortOptions): Promise<DatagramPort> {
  const { family, port = 0, unref = false, onWarning } = options
  const host = options.host ?? (family === 6 ? '::' : '0.0.0.0')
  const claims = new Set<DatagramClaim>()
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    ipv6Only: family === 6,
    // Addresses are numeric, so that sending needs neither the resolver nor a turn of the event loop.
    lookup: (name, _options, callback) => {
      if (isIP(name) !== 0) callback(null, name, isIP(name))
      else callback(Object.assign(new Error(`'${name}' is no IP address`), { code: 'ENOTFOUND' }), '', family)
    }
  })
  let closing: Promise<void> | undefined
  const shared = (boundPort: number): DatagramPort => ({
    family,
    port: boundPort,
    send(message, to, onError) {
      try {
        socket.send(message, to.port, to.host, (error) => {
          if (error && closing === undefined) onError?.(error)
        })
      } catch (error) {
        onError?.(asError(error))
      }
    },
    claim(claim) {
      claims.add(claim)
      return () => claims.delete(claim)
    },
    close() {
      closing ??= new Promise((resolve) => {
        claims.clear()
        socket.close(() => resolve())
      })
      return closing
    }
  })
  socket.on('message', (message, { address, port }) => {
    const from = { host: address, port }
    try {
      for (const claim of claims) {
        if (claim.matches(message, from)) return claim.receive(message, from)
      }
    } catch (error) {
      onWarning?.(asError(error))
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
        socket.on('error', (error) => {
          if (!icmpCodes.has(systemCode(error) ?? '')) onWarning?.(error)
        })
        resolve(shared(socket.address().port))
      })
    } catch (error) {
      onBindError(asError(error))
    }
  })
}
