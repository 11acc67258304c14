import { canonicalHost, formatAddress, hostBytes, hostOf, type PeerAddress } from '../util/address.ts'
import { networkKey } from '../util/ip-network.ts'
import { ipScope } from '../util/ip-scope.ts'

/**
 * How far an address reaches: this machine, this network or at least none that is public, the internet, or nowhere a peer can be
 * (unspecified, multicast, broadcast, reserved). A host name has no scope of its own.
 */
export type AddressScope = 'loopback' | 'private' | 'public' | 'unusable' | 'name'

/** The scope of a host; IPv4 inside IPv6, in whatever form, counts as IPv4. */
export function scopeOf(host: string): AddressScope {
  const bytes = hostBytes(canonicalHost(host))
  if (bytes === undefined) return host.toLowerCase() === 'localhost' ? 'loopback' : 'name'
  if (isNowhere(bytes)) return 'unusable'
  const scope = ipScope(host)
  return scope === 'global' ? 'public' : scope
}

/**
 * Whether an address may be believed that someone else told us: it must not reach less far than who told it, or a
 * stranger could make us knock at machines behind our router or at our own services.
 */
export function mayTell(toldBy: AddressScope, told: AddressScope): boolean {
  if (told === 'loopback') return toldBy === 'loopback'
  if (told === 'private') return toldBy === 'loopback' || toldBy === 'private'
  return told === 'public'
}

/** One text for all spellings of an address. */
export function addressKey({ host, port }: PeerAddress): string {
  return formatAddress({ host: canonicalHost(host).toLowerCase(), port })
}

/**
 * One address for all that a host may have: of a public IPv6 address the first in its /64, as who has one there has all 2^64. On
 * this machine and in local networks, where many share a /64, each address stands for itself.
 */
export function hostKey(host: string): string {
  const canonical = canonicalHost(host).toLowerCase()
  const bytes = canonical.includes(':') ? hostBytes(canonical) : undefined
  if (bytes === undefined || !isGlobal6(bytes) || scopeOf(canonical) !== 'public') return canonical
  return hostOf(bytes.fill(0, 8))
}

/**
 * The holder of a public address: the host, in IPv6 the /48 that one site has. Undefined for local networks and this machine, of
 * whom many may share an address.
 */
export function holderOf(host: string): string | undefined {
  if (scopeOf(host) !== 'public') return undefined
  const key = hostKey(host)
  const bytes = hostBytes(key)
  return bytes !== undefined && isGlobal6(bytes) ? networkKey(key) : key
}

/** This machine's own network, multicast, broadcast and what is reserved for ever. */
function isNowhere(bytes: Uint8Array): boolean {
  const [a = 0] = bytes
  if (bytes.length === 4) return a === 0 || a >= 224
  return a === 0xff || bytes.every((byte) => byte === 0)
}

/** Whether these are an IPv6 address that has a holder of its own: outside of 2000::/3 all of IPv4 stands behind one prefix (NAT64). */
function isGlobal6(bytes: Uint8Array): boolean {
  return bytes.length === 16 && ((bytes[0] ?? 0) & 0xe0) === 0x20
}
