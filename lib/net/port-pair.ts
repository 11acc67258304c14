import { asError, systemCode, TorrentError } from '../util/errors.ts'
import type { Listener, ListenOptions } from './connection.ts'
import type { DatagramPort } from './datagram-port.ts'
import type { TcpTransport } from './tcp.ts'
import { bindUdpPorts } from './udp-ports.ts'

// Consecutive ports to try: another instance may hold the next ones too. After them, any free port is used.
const attempts = 10

/** Options of {@link bindPortPair}. */
export interface PortPairOptions extends ListenOptions {
  readonly onWarning: (warning: Error) => void
}

/** A TCP listener and UDP ports with the same number. */
export interface PortPair {
  readonly listener: Listener
  /** UDP ports, at most one for each address family. */
  readonly udp: readonly DatagramPort[]
}

/**
 * Listens for TCP and binds UDP on one port in each family, because peers know only one port of ours. If the
 * port is taken in any of them, one of the next nine or any free one is used, with a warning. If UDP cannot be
 * bound at all, that is only a warning.
 * @throws TorrentError ERR_TRANSPORT_LISTEN if TCP cannot listen.
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
