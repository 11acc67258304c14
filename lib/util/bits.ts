/** Returns whether a bit is set. Bit 0 is the highest bit of the first byte, as in BitTorrent bitfields (BEP 3). */
export function hasBit(bits: Uint8Array, index: number): boolean {
  return (((bits[index >> 3] ?? 0) >> (7 - (index & 7))) & 1) === 1
}

export function setBit(bits: Uint8Array, index: number): void {
  bits[index >> 3] = (bits[index >> 3] ?? 0) | (0x80 >> (index & 7))
}

export function clearBit(bits: Uint8Array, index: number): void {
  bits[index >> 3] = (bits[index >> 3] ?? 0) & ~(0x80 >> (index & 7))
}

/** Returns the number of set bits. */
export function countBits(bits: Uint8Array): number {
  let total = 0
  for (let at = 0; at < bits.length; at++) {
    const byte = bits[at] ?? 0
    let pairs = byte - ((byte >> 1) & 0x55)
    pairs = (pairs & 0x33) + ((pairs >> 2) & 0x33)
    total += (pairs + (pairs >> 4)) & 0x0f
  }
  return total
}

/** Returns the number of bytes that hold `count` bits. */
export function bitsLength(count: number): number {
  return Math.ceil(count / 8)
}

/** Returns a bitfield of `count` bits with the given ones set. */
export function bitsOf(count: number, set: Iterable<number> = []): Uint8Array {
  const bits = new Uint8Array(bitsLength(count))
  for (const index of set) setBit(bits, index)
  return bits
}

/** Returns the number of leading bits that two byte strings of the same length share. */
export function commonPrefixBits(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < a.length; at++) {
    const difference = (a[at] ?? 0) ^ (b[at] ?? 0)
    if (difference !== 0) return at * 8 + Math.clz32(difference) - 24
  }
  return a.length * 8
}

/** Returns a bitfield of `count` bits, all set; spare bits are 0. */
export function allBits(count: number): Uint8Array {
  const bits = new Uint8Array(bitsLength(count)).fill(0xff)
  const spare = bits.length * 8 - count
  if (spare > 0) bits[bits.length - 1] = (0xff << spare) & 0xff
  return bits
}

const noWords = new Uint32Array(0)

/** Returns a view of all whole 4-byte words; empty if the bytes are not aligned to 4. */
export function wordsOf({ buffer, byteOffset, length }: Uint8Array): Uint32Array {
  return byteOffset % 4 === 0 ? new Uint32Array(buffer, byteOffset, length >> 2) : noWords
}
