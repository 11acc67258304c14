import type { Socket } from 'node:net'
import { canonicalHost, hostBytes, hostOf, isLoopback } from '../util/address.ts'
import { ipScope } from '../util/ip-scope.ts'

/**
 * One name for all addresses that a client may have: of public IPv6 the /64. Undefined for programs on this machine, one of which
 * may be a proxy for all clients.
 */
export function hostKey({ remoteAddress }: Pick<Socket, 'remoteAddress'>): string | undefined {
  if (remoteAddress === undefined || isLoopback(remoteAddress)) return undefined
  const host = canonicalHost(remoteAddress)
  const bytes = hostBytes(host)
  // Outside of 2000::/3 all of IPv4 stands behind one prefix (NAT64).
  if (bytes?.length !== 16 || ((bytes[0] ?? 0) & 0xe0) !== 0x20 || ipScope(host) !== 'global') return host
  return hostOf(bytes.fill(0, 8))
}
