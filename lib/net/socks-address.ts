import { hostOf, type PeerAddress } from '../util/address.ts'

/** A parsed address with its length in bytes, including type and port. */
export interface SocksAddress extends PeerAddress {
  readonly length: number
}

/**
 * Parses type, address and port of a SOCKS5 message (RFC 1928), beginning at `at`.
 * @returns `short` if bytes are missing, `unknown` for an unknown type.
 */
export function parseSocksAddress(bytes: Uint8Array, at: number): SocksAddress | 'short' | 'unknown' {
  const type = bytes[at]
  if (type === undefined) return 'short'
  const isName = type === 3
  const start = isName ? at + 2 : at + 1
  const width = type === 1 ? 4 : type === 4 ? 16 : isName ? bytes[at + 1] : undefined
  if (width === undefined) return isName ? 'short' : 'unknown'
  const end = start + width
  if (bytes.length < end + 2) return 'short'
  const host = bytes.subarray(start, end)
  return {
    host: isName ? Buffer.from(host).toString('latin1') : hostOf(host),
    port: ((bytes[end] ?? 0) << 8) | (bytes[end + 1] ?? 0),
    length: end + 2 - at
  }
}
