import { canonicalHost, hostBytes, hostOf } from './address.ts'

/**
 * One name for the network of an IP address, that of its holder or near to it: /24 in IPv4 and /48 in IPv6. IPv4 inside IPv6 (mapped,
 * NAT64) counts as that IPv4. Undefined for host names.
 */
export function networkKey(host: string): string | undefined {
  // As accepted sockets spell it: this makes each of a flood a quarter cheaper.
  const dotted = /^(?:::ffff:)?(\d+\.\d+\.\d+)\.\d+$/.exec(host)
  if (dotted !== null) return `${dotted[1]}.0`
  const bytes = hostBytes(canonicalHost(host))
  if (bytes === undefined) return undefined
  const isNat64 = bytes.length === 16 && bytes[0] === 0 && bytes[1] === 0x64
  const network = isNat64 ? bytes.subarray(12) : bytes
  return hostOf(network.fill(0, network.length === 4 ? 3 : 6))
}
