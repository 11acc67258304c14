import { formatCompact, hostBytes, type PeerAddress, parseCompact } from '../util/address.ts'
import { toHex } from '../util/bytes.ts'
import { networkKey } from '../util/ip-network.ts'
import { ipScope } from '../util/ip-scope.ts'
import { idLength } from './node-id.ts'

/** Id and address of a DHT node. */
export interface NodeInfo extends PeerAddress {
  /** Node id, 20 bytes. */
  readonly id: Uint8Array
}

/** Parses compact nodes: 26 bytes each for IPv4 (BEP 5), 38 for IPv6 (BEP 32). Skips an incomplete last node and port 0. */
export function parseNodes(bytes: Uint8Array, family: 4 | 6): NodeInfo[] {
  const width = idLength + (family === 4 ? 6 : 18)
  const list: NodeInfo[] = []
  for (let at = 0; at + width <= bytes.length; at += width) {
    const [address] = parseCompact(bytes.subarray(at + idLength, at + width), family)
    // An IPv4-mapped address does not belong in the IPv6 network.
    if (address === undefined || (family === 6 && !address.host.includes(':'))) continue
    list.push({ id: bytes.slice(at, at + idLength), host: address.host, port: address.port })
  }
  return list
}

/** Encodes nodes of one family in compact form (BEP 5, BEP 32). */
export function formatNodes(nodes: readonly NodeInfo[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const node of nodes) {
    const address = formatCompact(node)
    if (address !== undefined) parts.push(node.id, address)
  }
  return new Uint8Array(Buffer.concat(parts))
}

/** Returns a key that identifies an address: `host port`. */
export function addressKey({ host, port }: PeerAddress): string {
  return `${host} ${port}`
}

/**
 * Returns a key that identifies a node's host: the IP address; for local addresses, where several nodes may share one, address and
 * port.
 */
export function nodeHostKey(address: PeerAddress): string {
  return ipScope(address.host) === 'global' ? address.host : addressKey(address)
}

/** Returns a key for all addresses of one party: the host, or for IPv6 the /64, because one host can use all of its 2^64 addresses. */
export function partyKey(address: PeerAddress): string {
  const { host } = address
  const bytes = host.includes(':') && ipScope(host) === 'global' ? hostBytes(host) : undefined
  // Outside of 2000::/3, one prefix may cover all of IPv4 (NAT64).
  if (bytes === undefined || ((bytes[0] ?? 0) & 0xe0) !== 0x20) return nodeHostKey(address)
  return toHex(bytes.subarray(0, 8))
}

/** Returns a key for the network of an address; undefined for local addresses, which are not limited. */
export function networkOf(host: string): string | undefined {
  return ipScope(host) === 'global' ? networkKey(host) : undefined
}
