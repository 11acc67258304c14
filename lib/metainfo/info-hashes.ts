import { createHash } from 'node:crypto'
import { equalBytes, fromBase32, fromHex, isBytes, toHex } from '../util/bytes.ts'

/** The info hashes of a torrent: v1 is the SHA-1, v2 the SHA-256 of the raw `info` bytes (BEP 3, BEP 52). */
export interface InfoHashes {
  /** 20 bytes. */
  readonly v1?: Uint8Array
  /** 32 bytes. */
  readonly v2?: Uint8Array
}

/** Bytes of a v1 hash and of a truncated v2 hash. */
const wireLength = 20
const v2Length = 32
/** Digits of a v1 hash in base32. */
const base32Length = 32

/** Hexadecimal digits of {@link hashKey}. */
export const keyLength: number = 2 * wireLength

/**
 * Returns the 20 bytes by which handshakes, trackers, the DHT and LSD know the torrent: the v1 hash, or the truncated v2 hash of a
 * torrent of version 2 alone (BEP 52).
 * @throws TypeError when there is no hash.
 */
export function wireHash({ v1, v2 }: InfoHashes): Uint8Array {
  const hash = v1 ?? v2?.subarray(0, wireLength)
  if (hash === undefined) throw new TypeError('a torrent needs an info hash')
  return hash
}

/** Returns {@link wireHash} in lower-case hexadecimal: the key of the registry, of state files and of resume records. */
export function hashKey(infoHashes: InfoHashes): string {
  return toHex(wireHash(infoHashes))
}

/** Returns the {@link hashKey} of a 20-byte hash, or of 40 hexadecimal digits in any case. */
export function keyOfHash(hash: string | Uint8Array): string {
  return typeof hash === 'string' ? hash.toLowerCase() : toHex(hash)
}

/**
 * Returns whether the 20 bytes of a handshake are the torrent's {@link wireHash}. The truncated v2 hash of a hybrid torrent is rejected:
 * it would mean that the connection speaks BEP 52, which is not supported.
 */
export function isNamedBy(infoHashes: InfoHashes, hash: Uint8Array): boolean {
  return equalBytes(wireHash(infoHashes), hash)
}

/** Returns whether these are the raw bytes of the torrent's `info` dictionary. */
export function isInfoOf({ v1, v2 }: InfoHashes, info: Uint8Array): boolean {
  if (v1 !== undefined) return equalBytes(createHash('sha1').update(info).digest(), v1)
  return v2 !== undefined && equalBytes(createHash('sha256').update(info).digest(), v2)
}

/** Returns the v2 hash in hexadecimal, if there is one. */
export function hexV2({ v2 }: InfoHashes): string | undefined {
  return v2 && toHex(v2)
}

/** Returns whether a text is a hash as in file names and records: 40 or 64 lower-case hexadecimal digits. */
export function isHexHash(text: string): boolean {
  return (text.length === keyLength || text.length === 2 * v2Length) && /^[0-9a-f]+$/.test(text)
}

/** Returns whether a text is a {@link hashKey}. */
export function isHashKey(text: string): boolean {
  return text.length === keyLength && isHexHash(text)
}

/**
 * Returns the hashes of a saved torrent from its key and its v2 hash, if any, in lower-case hexadecimal. If the v2 hash begins with
 * the key, the torrent is version 2 only.
 * @throws TypeError when one of them is malformed.
 */
export function hashesOfKey(key: string, infoHashV2: string | undefined): InfoHashes {
  const v1 = isHashKey(key) ? fromHex(key) : undefined
  if (v1 === undefined) throw new TypeError('infoHash')
  if (infoHashV2 === undefined) return { v1 }
  const v2 = isHexHash(infoHashV2) && !isHashKey(infoHashV2) ? fromHex(infoHashV2) : undefined
  if (v2 === undefined) throw new TypeError('infoHashV2')
  return infoHashV2.startsWith(key) ? { v2 } : { v1, v2 }
}

/** Parses a v1 hash: 40 hexadecimal or 32 base32 digits in any case; undefined for anything else. */
export function parseV1(text: string): Uint8Array | undefined {
  if (text.length === keyLength) return fromHex(text)
  return text.length === base32Length ? fromBase32(text) : undefined
}

/** Parses a v2 hash as a hexadecimal multihash: SHA2-256 is function 0x12 with 0x20 bytes; undefined for anything else. */
export function parseV2(text: string): Uint8Array | undefined {
  const digits = 4 + 2 * v2Length
  return text.length === digits && text.startsWith('1220') ? fromHex(text.slice(4)) : undefined
}

/** Returns the hashes of a torrent from a raw v1 hash; undefined for any other length. */
export function hashesOfBytes(bytes: Uint8Array): InfoHashes | undefined {
  return bytes.length === wireLength ? { v1: bytes } : undefined
}

/** Returns whether an unknown value has a valid v1 hash or, without a v1 hash, a valid v2 hash. */
export function isInfoHashes(value: unknown): value is InfoHashes {
  if (typeof value !== 'object' || value === null) return false
  const { v1, v2 }: { v1?: unknown; v2?: unknown } = value
  if (v1 === undefined) return isBytes(v2) && v2.length === v2Length
  return isBytes(v1) && v1.length === wireLength
}
