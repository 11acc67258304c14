import { canonicalHost, hostBytes } from './address.ts'

/** Scope of an address: this machine, a local network, or the internet. */
export type IpScope = 'loopback' | 'private' | 'global'

/**
 * Returns the scope of an IP address.
 *
 * - Unspecified addresses are loopback, because they connect to this machine.
 * - Link-local, shared (RFC 6598), unique local, multicast and reserved addresses are private.
 * - IPv4 inside IPv6 (mapped, NAT64, 6to4) counts as that IPv4 address.
 * - Host names are private: they must be resolved first.
 */
export function ipScope(host: string): IpScope {
  const bytes = hostBytes(canonicalHost(host))
  if (bytes === undefined) return 'private'
  return bytes.length === 4 ? scope4(bytes) : scope6(bytes)
}

function scope4(bytes: Uint8Array): IpScope {
  const [a = 0, b = 0, c = 0] = bytes
  if (a === 127 || a === 0) return 'loopback'
  const local =
    a === 10 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 192 && b === 0 && c === 0) ||
    (a === 198 && (b === 18 || b === 19)) ||
    a >= 224
  return local ? 'private' : 'global'
}

function scope6(bytes: Uint8Array): IpScope {
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  if (bytes.subarray(0, 12).every((byte) => byte === 0)) {
    const last = bytes.subarray(12)
    return last[0] === 0 && last[1] === 0 ? 'loopback' : scope4(last)
  }
  if (a === 0 && b === 0x64 && c === 0xff && d === 0x9b) return scope4(bytes.subarray(12))
  if (a === 0x20 && b === 0x02) return scope4(bytes.subarray(2, 6))
  // Only 2000::/3 is allocated for the internet.
  return (a & 0xe0) === 0x20 ? 'global' : 'private'
}
