import { isUtf8 } from 'node:buffer'
import { randomFillSync } from 'node:crypto'
import { types } from 'node:util'

const hexPattern = /^(?:[0-9a-f]{2})*$/i
const base32Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const base32Pattern = /^[a-z2-7]*$/i
const encoder = new TextEncoder()

/**
 * Returns whether a value is a Uint8Array, also one of another realm (as in test runners that use `node:vm`),
 * where `instanceof` fails.
 */
export function isBytes(value: unknown): value is Uint8Array {
  return types.isUint8Array(value)
}

/** Encodes bytes as lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Decodes a hexadecimal string; returns undefined if it is invalid. */
export function fromHex(text: string): Uint8Array | undefined {
  return hexPattern.test(text) ? new Uint8Array(Buffer.from(text, 'hex')) : undefined
}

/** Decodes an RFC 4648 base32 string without padding; returns undefined if it is invalid. */
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

/** Encodes a string as UTF-8. */
export function fromText(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Decodes UTF-8 and keeps a byte order mark; returns undefined if the bytes are invalid. */
export function toText(bytes: Uint8Array): string | undefined {
  if (!isUtf8(bytes)) return undefined
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** Decodes Latin-1: each byte becomes one character from U+0000 to U+00FF. */
export function toLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Returns whether two byte strings are equal. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && Buffer.compare(a, b) === 0
}

/** Returns `length` bytes from the system's cryptographic generator. */
export function randomBytes(length: number): Uint8Array {
  return randomFillSync(new Uint8Array(length))
}
