import { canonicalHost, formatAddress, hostBytes, type PeerAddress } from '../util/address.ts'
import { toHex } from '../util/bytes.ts'
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
export function mayTell(informant: AddressScope, told: AddressScope): boolean {
  if (told === 'loopback') return informant === 'loopback'
  if (told === 'private') return informant === 'loopback' || informant === 'private'
  return told === 'public'
}

/** One text for all spellings of an address. */
export function addressKey({ host, port }: PeerAddress): string {
  return formatAddress({ host: canonicalHost(host).toLowerCase(), port })
}

/**
 * What one owner has as many addresses of as he likes, as text: the /64 of a public IPv6 address, a public IPv4 address. Undefined
 * for neighbours and ourselves, of whom many may share an address.
 */
export function networkOf(host: string): string | undefined {
  if (scopeOf(host) !== 'public') return undefined
  const bytes = hostBytes(canonicalHost(host))
  return bytes && toHex(bytes.subarray(0, 8))
}

/** This machine's own network, multicast, broadcast and what is reserved for ever. */
function isNowhere(bytes: Uint8Array): boolean {
  const [a = 0] = bytes
  if (bytes.length === 4) return a === 0 || a >= 224
  return a === 0xff || bytes.every((byte) => byte === 0)
}
