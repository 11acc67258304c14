import type { Socket } from 'node:net'
import { canonicalHost, hostBytes, hostOf, isLoopback } from '../util/address.ts'
import { ipScope } from '../util/ip-scope.ts'

/**
 * Returns one key for all addresses that a client may have: the /64 of a public IPv6 address, else the address. Undefined for this
 * machine, where a reverse proxy may speak for all clients.
 */
export function hostKey({ remoteAddress }: Pick<Socket, 'remoteAddress'>): string | undefined {
  if (remoteAddress === undefined || isLoopback(remoteAddress)) return undefined
  const host = canonicalHost(remoteAddress)
  const bytes = hostBytes(host)
  // Outside of 2000::/3, one prefix may hold all of IPv4 (NAT64).
  if (bytes?.length !== 16 || ((bytes[0] ?? 0) & 0xe0) !== 0x20 || ipScope(host) !== 'global') return host
  return hostOf(bytes.fill(0, 8))
}
