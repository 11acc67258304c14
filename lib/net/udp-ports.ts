import { isIP } from 'node:net'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import type { DatagramPort } from './datagram-port.ts'
import { bindUdpPort } from './udp-port.ts'

/** Where {@link bindUdpPorts} binds. */
export interface UdpPortsOptions {
  /** Numeric address, by default all of both families. */
  readonly host: string | undefined
  /** The port wanted, that of the TCP listener; a port that is taken gives way to any other. 0 for any. */
  readonly port: number
  /** Hears of faults of the bound sockets. */
  readonly onWarning: (warning: Error) => void
}

/**
 * Binds the UDP ports of a client, one for each address family, which its protocols share.
 * @throws TorrentError ERR_TRANSPORT_LISTEN when no family can be bound.
 */
export async function bindUdpPorts({ host, port, onWarning }: UdpPortsOptions): Promise<DatagramPort[]> {
  const bound: DatagramPort[] = []
  const faults: unknown[] = []
  for (const family of familiesOf(host)) {
    // A wildcard is that of its family.
    const at = host === undefined || host === '::' ? {} : { host }
    const wanted = bound[0]?.port ?? port
    try {
      bound.push(await bindOrOther({ family, port: wanted, onWarning, ...at }))
    } catch (error) {
      // Many machines have no IPv6.
      faults.push(error)
    }
  }
  if (bound.length > 0) return bound
  throw faults[0] ?? new TorrentError('ERR_TRANSPORT_LISTEN', 'no UDP port could be bound')
}

function familiesOf(host: string | undefined): readonly (4 | 6)[] {
  if (host === undefined || host === '::') return [4, 6]
  return [isIP(host) === 6 ? 6 : 4]
}

async function bindOrOther(options: Parameters<typeof bindUdpPort>[0]): Promise<DatagramPort> {
  try {
    return await bindUdpPort(options)
  } catch (error) {
    const code = systemCode(asError(error).cause)
    if (options.port === 0 || (code !== 'EADDRINUSE' && code !== 'EACCES')) throw error
    return bindUdpPort({ ...options, port: 0 })
  }
}
