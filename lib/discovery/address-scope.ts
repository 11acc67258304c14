import { canonicalHost, formatAddress, hostBytes, type PeerAddress } from '../util/address.ts'
import { toHex } from '../util/bytes.ts'

/**
 * How far an address reaches: this machine, this network (private, link-local and carrier ranges), the internet, or
 * nowhere a peer can be (unspecified, multicast, broadcast, reserved). A host name has no scope of its own.
 */
export type AddressScope = 'loopback' | 'private' | 'public' | 'unusable' | 'name'

/** The scope of a host; IPv4 inside IPv6 counts as IPv4. */
export function scopeOf(host: string): AddressScope {
  const bytes = hostBytes(canonicalHost(host))
  if (bytes === undefined) return host.toLowerCase() === 'localhost' ? 'loopback' : 'name'
  return bytes.length === 4 ? scopeOf4(bytes) : scopeOf6(bytes)
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

function scopeOf4([a = 0, b = 0]: Uint8Array): AddressScope {
  if (a === 0 || a >= 224) return 'unusable'
  if (a === 127) return 'loopback'
  const local =
    a === 10 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128)
  return local ? 'private' : 'public'
}

function scopeOf6(bytes: Uint8Array): AddressScope {
  const [a = 0, b = 0] = bytes
  if (bytes.subarray(0, 15).every((byte) => byte === 0)) {
    if (bytes[15] === 0) return 'unusable'
    if (bytes[15] === 1) return 'loopback'
  }
  if (a === 0xff) return 'unusable'
  // Unique local fc00::/7, link-local fe80::/10 and site-local fec0::/10.
  return (a & 0xfe) === 0xfc || (a === 0xfe && b >= 0x80) ? 'private' : 'public'
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
