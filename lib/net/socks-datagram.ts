import type { PeerAddress } from '../util/address.ts'
import { encodeSocksAddress } from './proxy-handshake.ts'
import { parseSocksAddress } from './socks-address.ts'

/** A datagram that a SOCKS5 relay has forwarded. */
export interface SocksDatagram {
  /** Sender; some relays send a host name. */
  readonly from: PeerAddress
  readonly message: Uint8Array
}

/** Returns the header of a datagram to a SOCKS5 relay (RFC 1928, section 7); undefined if the host cannot be sent. */
export function encodeSocksHeader(to: PeerAddress): Uint8Array | undefined {
  const address = encodeSocksAddress(to)
  return address && Uint8Array.of(0, 0, 0, ...address)
}

/** Parses a datagram of a SOCKS5 relay. Returns undefined for fragments and malformed datagrams. */
export function parseSocksDatagram(datagram: Uint8Array): SocksDatagram | undefined {
  // The third byte is the fragment number, 0 for a whole datagram; RFC 1928 allows fragments to be dropped.
  if (datagram[2] !== 0) return undefined
  const address = parseSocksAddress(datagram, 3)
  if (address === 'short' || address === 'unknown') return undefined
  const { host, port, length } = address
  return { from: { host, port }, message: datagram.subarray(3 + length) }
}
