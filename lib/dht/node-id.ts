import { hostBytes } from '../util/address.ts'
import { crc32c } from '../util/crc32c.ts'
import { ipScope } from '../util/ip-scope.ts'

/** Bytes of a node id, of an info hash and of a target. */
export const idLength = 20

/** Bytes from a generator of random numbers: an argument, so that a test repeats itself. */
export type RandomBytes = (length: number) => Uint8Array

/** Less than 0 when `a` is closer to `target` than `b`, by the XOR metric (BEP 5). */
export function compareDistance(target: Uint8Array, a: Uint8Array, b: Uint8Array): number {
  for (let n = 0; n < idLength; n++) {
    const left = a[n] ?? 0
    const right = b[n] ?? 0
    if (left !== right) return (left ^ (target[n] ?? 0)) - (right ^ (target[n] ?? 0))
  }
  return 0
}

/** A random id that shares exactly `bits` leading bits (0 to 159) with `id`. */
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

/** What BEP 42 makes of an address and the last byte of an id; its first 21 bits stand in the id. */
function prefixOf(host: string, lastByte: number): number | undefined {
  const address = hostBytes(host)
  if (address === undefined) return undefined
  const mask = address.length === 4 ? mask4 : mask6
  const masked = Uint8Array.from(mask, (bits, n) => bits & (address[n] ?? 0))
  masked[0] = (masked[0] ?? 0) | ((lastByte & 7) << 5)
  return crc32c(masked)
}

/** A random node id that belongs to this external IP address (BEP 42); of a host name, any id. */
export function secureId(host: string, random: RandomBytes): Uint8Array {
  const id = random(idLength)
  const prefix = prefixOf(host, id[19] ?? 0)
  if (prefix === undefined) return id
  id[0] = prefix >>> 24
  id[1] = (prefix >>> 16) & 0xff
  id[2] = ((prefix >>> 8) & 0xf8) | ((id[2] ?? 0) & 7)
  return id
}

/** Whether an id belongs to its IP address (BEP 42); local addresses are exempt and may have any. */
export function isSecureId(id: Uint8Array, host: string): boolean {
  if (ipScope(host) !== 'global') return true
  const prefix = prefixOf(host, id[19] ?? 0)
  if (prefix === undefined) return false
  const start = (((id[0] ?? 0) << 24) | ((id[1] ?? 0) << 16) | ((id[2] ?? 0) << 8)) >>> 0
  return ((start ^ prefix) & 0xfffff800) === 0
}
