import { hostBytes } from '../util/address.ts'
import { crc32c } from '../util/crc32c.ts'
import { ipScope } from '../util/ip-scope.ts'

/** Length of a node id, an info hash and a target, in bytes. */
export const idLength = 20

/** Returns `length` random bytes. Passed as an argument everywhere, so that tests are reproducible. */
export type RandomBytes = (length: number) => Uint8Array

/** Compares distances by the XOR metric (BEP 5); negative if `a` is closer to `target` than `b`. */
export function compareDistance(target: Uint8Array, a: Uint8Array, b: Uint8Array): number {
  for (let n = 0; n < idLength; n++) {
    const left = a[n] ?? 0
    const right = b[n] ?? 0
    if (left !== right) return (left ^ (target[n] ?? 0)) - (right ^ (target[n] ?? 0))
  }
  return 0
}

/** Returns a random id that shares exactly `bits` leading bits (0 to 159) with `id`. */
export function randomIdNear(id: Uint8Array, bits: number, random: RandomBytes): Uint8Array {
  const near = random(idLength)
  const at = bits >> 3
  near.set(id.subarray(0, at))
  const flipped = 0x80 >> (bits & 7)
  const kept = 0xff & ~((flipped << 1) - 1)
  const own = id[at] ?? 0
  near[at] = (own & kept) | (~own & flipped) | ((near[at] ?? 0) & (flipped - 1))
  return near
}

const mask4 = [0x03, 0x0f, 0x3f, 0xff]
const mask6 = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff]

/** Returns the BEP 42 hash of an address and the last byte of an id. Its first 21 bits begin the id. */
function prefixOf(host: string, lastByte: number): number | undefined {
  const address = hostBytes(host)
  if (address === undefined) return undefined
  const mask = address.length === 4 ? mask4 : mask6
  const masked = Uint8Array.from(mask, (bits, n) => bits & (address[n] ?? 0))
  masked[0] = (masked[0] ?? 0) | ((lastByte & 7) << 5)
  return crc32c(masked)
}

/** Returns a random node id that matches an external IP address (BEP 42); any id for a host name. */
export function secureId(host: string, random: RandomBytes): Uint8Array {
  const id = random(idLength)
  const prefix = prefixOf(host, id[19] ?? 0)
  if (prefix === undefined) return id
  id[0] = prefix >>> 24
  id[1] = (prefix >>> 16) & 0xff
  id[2] = ((prefix >>> 8) & 0xf8) | ((id[2] ?? 0) & 7)
  return id
}

/** Whether an id matches its IP address (BEP 42). Local addresses are exempt and match any id. */
export function isSecureId(id: Uint8Array, host: string): boolean {
  if (ipScope(host) !== 'global') return true
  const prefix = prefixOf(host, id[19] ?? 0)
  if (prefix === undefined) return false
  const start = (((id[0] ?? 0) << 24) | ((id[1] ?? 0) << 16) | ((id[2] ?? 0) << 8)) >>> 0
  return ((start ^ prefix) & 0xfffff800) === 0
}
