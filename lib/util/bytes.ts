import { isUtf8 } from 'node:buffer'
import { randomFillSync } from 'node:crypto'
import { types } from 'node:util'

const hexPattern = /^(?:[0-9a-f]{2})*$/i
const base32Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const base32Pattern = /^[a-z2-7]*$/i
const encoder = new TextEncoder()

/** Whether a value is a Uint8Array, be it of another realm, as under test runners that use `node:vm`: `instanceof` says no to those. */
export function isBytes(value: unknown): value is Uint8Array {
  return types.isUint8Array(value)
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Bytes of a hexadecimal string, or undefined when it is none. */
export function fromHex(text: string): Uint8Array | undefined {
  return hexPattern.test(text) ? new Uint8Array(Buffer.from(text, 'hex')) : undefined
}

/** Bytes of an RFC 4648 base32 string without padding, or undefined when it is none. */
export function fromBase32(text: string): Uint8Array | undefined {
  if (!base32Pattern.test(text)) return undefined
  const out = new Uint8Array(Math.floor((text.length * 5) / 8))
  let bits = 0
  let value = 0
  let at = 0
  for (const letter of text.toUpperCase()) {
    value = ((value << 5) | base32Alphabet.indexOf(letter)) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      out[at++] = (value >> bits) & 0xff
    }
  }
  return out
}

/** UTF-8 bytes of a string. */
export function fromText(text: string): Uint8Array {
  return encoder.encode(text)
}

/** The string of UTF-8 bytes, a byte order mark included, or undefined when they are no valid UTF-8. */
export function toText(bytes: Uint8Array): string | undefined {
  if (!isUtf8(bytes)) return undefined
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** The string in which each byte is one character from U+0000 to U+00FF. */
export function toLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Whether two byte strings are equal. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && Buffer.compare(a, b) === 0
}

/** `length` bytes from the system's cryptographic generator. */
export function randomBytes(length: number): Uint8Array {
  return randomFillSync(new Uint8Array(length))
}
