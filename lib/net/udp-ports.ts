import { canonicalHost, isIP } from '../util/address.ts'
import type { DatagramPort } from './datagram-port.ts'
import { bindUdpPort } from './udp-port.ts'

/** Options of {@link bindUdpPorts}. */
export interface UdpPortsOptions {
  /** Numeric address to bind; default all addresses of both families. */
  readonly host: string | undefined
  /** Port to bind; 0 for any free one, the same in both families. */
  readonly port: number
  /** Receives errors of the bound sockets. */
  readonly onWarning: (warning: Error) => void
}

/** Result of {@link bindUdpPorts}. */
export interface BoundUdpPorts {
  readonly ports: readonly DatagramPort[]
  /** TorrentError ERR_TRANSPORT_LISTEN for each family that could not be bound; many machines have no IPv6. */
  readonly faults: readonly unknown[]
}

/** Binds the same UDP port in each address family of the host. Never rejects. */
export async function bindUdpPorts({ host, port, onWarning }: UdpPortsOptions): Promise<BoundUdpPorts> {
  const ports: DatagramPort[] = []
  const faults: unknown[] = []
  for (const family of familiesOf(host)) {
    try {
      ports.push(await bindUdp(family, { host, port: ports[0]?.port ?? port, onWarning }))
    } catch (error) {
      faults.push(error)
    }
  }
  return { ports, faults }
}

/** Binds the UDP port of one family. @throws TorrentError ERR_TRANSPORT_LISTEN. */
export function bindUdp(family: 4 | 6, { host, port, onWarning }: UdpPortsOptions): Promise<DatagramPort> {
  // A wildcard host means the wildcard address of each family.
  const at = host === undefined || isWildcard(host) ? {} : { host }
  return bindUdpPort({ family, port, onWarning, ...at })
}

/** Returns the address families that a local address stands for. */
export function familiesOf(host: string | undefined): readonly (4 | 6)[] {
  if (host === undefined || isWildcard(host)) return [4, 6]
  return [isIP(host) === 6 ? 6 : 4]
}

/** Returns whether a host stands for all addresses of both families. */
function isWildcard(host: string): boolean {
  return canonicalHost(host) === '::'
}
