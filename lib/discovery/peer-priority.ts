import { canonicalHost, hostBytes, type PeerAddress } from '../util/address.ts'
import { crc32c } from '../util/crc32c.ts'

/**
 * Returns the canonical priority of a connection between two peers (BEP 40), from 0 to 2^32 - 1. Both sides
 * compute the same value; connections of higher priority are preferred. Undefined for host names, and between
 * IPv4 and IPv6.
 */
export function peerPriority(a: PeerAddress, b: PeerAddress): number | undefined {
  const left = hostBytes(canonicalHost(a.host))
  const right = hostBytes(canonicalHost(b.host))
  if (left === undefined || right === undefined || left.length !== right.length) return undefined
  const common = left.findIndex((byte, n) => byte !== right[n])
  if (common < 0) {
    const [low, high] = a.port < b.port ? [a.port, b.port] : [b.port, a.port]
    return crc32c(Uint8Array.of(low >> 8, low & 0xff, high >> 8, high & 0xff))
  }
  // Leaves one byte more than the common prefix unmasked, so that hosts of the same network get different priorities.
  const always = left.length === 4 ? 2 : 6
  const whole = common < always ? always : common + 1
  for (let n = whole; n < left.length; n++) {
    left[n] = (left[n] ?? 0) & 0x55
    right[n] = (right[n] ?? 0) & 0x55
  }
  return crc32c(Buffer.concat(Buffer.compare(left, right) < 0 ? [left, right] : [right, left]))
}
