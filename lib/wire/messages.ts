/** The `id` byte of each message (BEP 3, 5, 6 and 10). */
export const messageIds = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  notInterested: 3,
  have: 4,
  bitfield: 5,
  request: 6,
  piece: 7,
  cancel: 8,
  port: 9,
  suggest: 13,
  haveAll: 14,
  haveNone: 15,
  reject: 16,
  allowedFast: 17,
  extended: 20
} as const

/** First 20 bytes of a handshake: the length 19 and `BitTorrent protocol` (BEP 3). */
export const protocolHeader: Uint8Array = Uint8Array.of(19, ...Buffer.from('BitTorrent protocol', 'latin1'))

/** Length of a handshake in bytes: header, 8 reserved bytes, info hash, peer id. */
export const handshakeLength = 68

/** Protocols announced in the reserved bytes of a handshake. */
export interface HandshakeFlags {
  /** The fast extension (BEP 6). */
  readonly fast: boolean
  /** The extension protocol (BEP 10). */
  readonly extended: boolean
  /** A DHT node (BEP 5). */
  readonly dht: boolean
}

/** Returns the 8 reserved bytes for the flags. */
export function formatReserved({ fast, extended, dht }: HandshakeFlags): Uint8Array {
  const reserved = new Uint8Array(8)
  if (extended) reserved[5] = 0x10
  reserved[7] = (fast ? 0x04 : 0) | (dht ? 0x01 : 0)
  return reserved
}

/** Parses the flags in 8 reserved bytes; other bits are ignored. */
export function parseReserved(reserved: Uint8Array): HandshakeFlags {
  const fifth = reserved[5] ?? 0
  const last = reserved[7] ?? 0
  return { fast: (last & 0x04) !== 0, extended: (fifth & 0x10) !== 0, dht: (last & 0x01) !== 0 }
}

/** Reads a 32-bit unsigned number in network byte order. */
export function uint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  )
}
