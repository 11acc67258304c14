import { canonicalHost, hostBytes, hostOf } from './address.ts'

/**
 * Returns a key for the network of an IP address, roughly what one holder has: /24 in IPv4, /48 in IPv6. IPv4
 * inside IPv6 (mapped, NAT64) counts as IPv4. Undefined for host names.
 */
export function networkKey(host: string): string | undefined {
  // Fast path for the spelling of accepted sockets; it makes each connection of a flood a quarter cheaper.
  const dotted = /^(?:::ffff:)?(\d+\.\d+\.\d+)\.\d+$/.exec(host)
  if (dotted !== null) return `${dotted[1]}.0`
  const bytes = hostBytes(canonicalHost(host))
  if (bytes === undefined) return undefined
  const isNat64 = bytes.length === 16 && bytes[0] === 0 && bytes[1] === 0x64
  const network = isNat64 ? bytes.subarray(12) : bytes
  return hostOf(network.fill(0, network.length === 4 ? 3 : 6))
}
