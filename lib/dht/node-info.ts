import { formatCompact, hostBytes, type PeerAddress, parseCompact } from '../util/address.ts'
import { toHex } from '../util/bytes.ts'
import { networkKey } from '../util/ip-network.ts'
import { ipScope } from '../util/ip-scope.ts'
import { idLength } from './node-id.ts'

/** A node of the DHT: its id and where it answers. */
export interface NodeInfo extends PeerAddress {
  /** 20 bytes. */
  readonly id: Uint8Array
}

/** Reads compact nodes: 26 bytes each for IPv4 (BEP 5), 38 for IPv6 (BEP 32). A trailing rest and port 0 are skipped. */
export function parseNodes(bytes: Uint8Array, family: 4 | 6): NodeInfo[] {
  const width = idLength + (family === 4 ? 6 : 18)
  const list: NodeInfo[] = []
  for (let at = 0; at + width <= bytes.length; at += width) {
    const [address] = parseCompact(bytes.subarray(at + idLength, at + width), family)
    // IPv4 inside IPv6 has no business in the other network.
    if (address === undefined || (family === 6 && !address.host.includes(':'))) continue
    list.push({ id: bytes.slice(at, at + idLength), host: address.host, port: address.port })
  }
  return list
}

/** The compact form of nodes, all of one family (BEP 5, BEP 32). */
export function formatNodes(nodes: readonly NodeInfo[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const node of nodes) {
    const address = formatCompact(node)
    if (address !== undefined) parts.push(node.id, address)
  }
  return new Uint8Array(Buffer.concat(parts))
}

/** One name for each address: `host port`. */
export function addressKey({ host, port }: PeerAddress): string {
  return `${host} ${port}`
}

/**
 * One name for each host: the IP address, but on this machine and in local networks, where many nodes may share one, address
 * and port.
 */
export function hostKey(address: PeerAddress): string {
  return ipScope(address.host) === 'global' ? address.host : addressKey(address)
}

/** One name for what counts as one party: the host, but of IPv6 the /64, for whoever has one address there has all 2^64. */
export function partyKey(address: PeerAddress): string {
  const { host } = address
  const bytes = host.includes(':') && ipScope(host) === 'global' ? hostBytes(host) : undefined
  // Outside of 2000::/3 all of IPv4 stands behind one prefix (NAT64).
  if (bytes === undefined || ((bytes[0] ?? 0) & 0xe0) !== 0x20) return hostKey(address)
  return toHex(bytes.subarray(0, 8))
}

/** One name for the network that an address belongs to; undefined for local ones, which are not limited. */
export function networkOf(host: string): string | undefined {
  return ipScope(host) === 'global' ? networkKey(host) : undefined
}
