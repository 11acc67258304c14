import { createHash } from 'node:crypto'
import { hostBytes } from '../util/address.ts'

const filterBytes = 256
const filterBits = filterBytes * 8

/** A set of IP addresses in 256 bytes from which only its approximate size can be read (BEP 33). */
export class BloomFilter {
  /** The filter as it is sent, 256 bytes. */
  readonly bytes: Uint8Array

  /** Creates an empty filter, or a copy of the given 256 bytes. Ignores bytes of another length. */
  constructor(bytes?: Uint8Array) {
    this.bytes = new Uint8Array(filterBytes)
    if (bytes?.length === filterBytes) this.bytes.set(bytes)
  }

  /** Adds an IPv4 or IPv6 address. Ignores a host name. */
  add(host: string): void {
    const address = hostBytes(host)
    if (address === undefined) return
    const hash = createHash('sha1').update(address).digest()
    for (const at of [0, 2]) {
      const bit = hash.readUInt16LE(at) % filterBits
      this.bytes[bit >> 3] = (this.bytes[bit >> 3] ?? 0) | (1 << (bit & 7))
    }
  }

  /** Adds all addresses of another filter. Ignores it unless it has 256 bytes. */
  merge(bytes: Uint8Array): void {
    if (bytes.length !== filterBytes) return
    for (const [n, byte] of bytes.entries()) this.bytes[n] = (this.bytes[n] ?? 0) | byte
  }

  /** Approximate number of added addresses; meaningless above about 6000. */
  get estimate(): number {
    let zeros = 0
    for (const byte of this.bytes) for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) === 0) zeros++
    const counted = Math.max(1, Math.min(filterBits - 1, zeros))
    return zeros === filterBits ? 0 : Math.log(counted / filterBits) / (2 * Math.log(1 - 1 / filterBits))
  }
}
