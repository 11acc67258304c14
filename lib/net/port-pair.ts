import { asError, systemCode, TorrentError } from '../util/errors.ts'
import type { Listener, ListenOptions } from './connection.ts'
import type { DatagramPort } from './datagram-port.ts'
import type { TcpTransport } from './tcp.ts'
import { bindUdpPorts } from './udp-ports.ts'

// A port that is taken is taken by a program that may have the next ones too; then any port will do.
const attempts = 10

/** Options of {@link bindPortPair}. */
export interface PortPairOptions extends ListenOptions {
  readonly onWarning: (warning: Error) => void
}

/** One port number of TCP and UDP. */
export interface PortPair {
  readonly listener: Listener
  /** At most one of each address family. */
  readonly udp: readonly DatagramPort[]
}

/**
 * Listens for TCP and binds UDP in each family on one number, because peers know one port of us. A number that is taken in any of them
 * gives way to the next one, with a warning. Where UDP cannot be had at all, that is a warning.
 * @throws TorrentError ERR_TRANSPORT_LISTEN when TCP cannot be had.
 */
export async function bindPortPair(tcp: TcpTransport, options: PortPairOptions): Promise<PortPair> {
  const { port, onWarning } = options
  const next = port === 0 ? [] : Array.from({ length: attempts }, (_, n) => port + n)
  const numbers = [...next.filter((number) => number <= 65535), ...Array<number>(attempts).fill(0)]
  let first: unknown
  let last: unknown
  for (const number of numbers) {
    try {
      const pair = await bindNumber(tcp, { ...options, port: number })
      const used = pair.listener.port
      if (port !== 0 && used !== port) {
        const message = `port ${port} is taken; listening on ${used}`
        onWarning(new TorrentError('ERR_TRANSPORT_LISTEN', message, { cause: last, details: { port, used } }))
      }
      return pair
    } catch (error) {
      first ??= error
      last = error
      if (!isTaken(error)) break
    }
  }
  throw first
}

async function bindNumber(tcp: TcpTransport, options: PortPairOptions): Promise<PortPair> {
  const { host, onWarning } = options
  const listener = await tcp.listen(options)
  const { ports, faults } = await bindUdpPorts({ host, port: listener.port, onWarning })
  const taken = faults.find(isTaken)
  if (taken === undefined) {
    if (ports.length === 0) onWarning(asError(faults[0]))
    return { listener, udp: ports }
  }
  await Promise.all([listener.close(), ...ports.map((one) => one.close())])
  throw taken
}

function isTaken(error: unknown): boolean {
  return ['EADDRINUSE', 'EACCES'].includes(systemCode(asError(error).cause) ?? '')
}
