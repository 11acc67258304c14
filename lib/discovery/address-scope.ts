import { canonicalHost, formatAddress, hostBytes, hostOf, type PeerAddress } from '../util/address.ts'
import { networkKey } from '../util/ip-network.ts'
import { ipScope } from '../util/ip-scope.ts'

/**
 * Scope of an address: loopback, private (or link-local), public, or unusable for a peer (unspecified,
 * multicast, broadcast, reserved). A host name has no scope of its own.
 */
export type AddressScope = 'loopback' | 'private' | 'public' | 'unusable' | 'name'

/** Returns the scope of a host. IPv4-mapped IPv6 addresses, in every form, count as IPv4. */
export function scopeOf(host: string): AddressScope {
  const bytes = hostBytes(canonicalHost(host))
  if (bytes === undefined) return host.toLowerCase() === 'localhost' ? 'loopback' : 'name'
  if (isNowhere(bytes)) return 'unusable'
  const scope = ipScope(host)
  return scope === 'global' ? 'public' : scope
}

/**
 * Returns whether a source may name an address of this scope. The address must not be more local than its
 * source; otherwise a remote peer could make us connect to machines behind our router or to our own services.
 */
export function mayTell(toldBy: AddressScope, told: AddressScope): boolean {
  if (told === 'loopback') return toldBy === 'loopback'
  if (told === 'private') return toldBy === 'loopback' || toldBy === 'private'
  return told === 'public'
}

/** Returns one canonical text for all spellings of an address. */
export function addressKey({ host, port }: PeerAddress): string {
  return formatAddress({ host: canonicalHost(host).toLowerCase(), port })
}

/**
 * Returns the key under which the addresses of one host are counted: the canonical address, or the /64 of a
 * public IPv6 address, because one host controls all 2^64 addresses of it. A local IPv6 address is its own key,
 * because many hosts share a local /64.
 */
export function hostKey(host: string): string {
  const canonical = canonicalHost(host).toLowerCase()
  const bytes = canonical.includes(':') ? hostBytes(canonical) : undefined
  if (bytes === undefined || !isGlobal6(bytes) || scopeOf(canonical) !== 'public') return canonical
  return hostOf(bytes.fill(0, 8))
}

/**
 * Returns the site of a public address: the host, or in IPv6 the /48 that one site has. Undefined for local
 * and loopback addresses, which many peers may share.
 */
export function siteOf(host: string): string | undefined {
  if (scopeOf(host) !== 'public') return undefined
  const key = hostKey(host)
  const bytes = hostBytes(key)
  return bytes !== undefined && isGlobal6(bytes) ? networkKey(key) : key
}

/** Returns whether an address is unspecified, multicast, broadcast or reserved. */
function isNowhere(bytes: Uint8Array): boolean {
  const [a = 0] = bytes
  if (bytes.length === 4) return a === 0 || a >= 224
  return a === 0xff || bytes.every((byte) => byte === 0)
}

/**
 * Returns whether an address is in 2000::/3, where a prefix belongs to one site. Elsewhere it may not: NAT64 puts
 * all IPv4 addresses under one prefix.
 */
function isGlobal6(bytes: Uint8Array): boolean {
  return bytes.length === 16 && ((bytes[0] ?? 0) & 0xe0) === 0x20
}
