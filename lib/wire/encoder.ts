import {
  formatReserved,
  type HandshakeFlags,
  handshakeLength,
  messageIds,
  protocolHeader
} from './messages.ts'

const slabLength = 4096

/**
 * Writes messages one after another into one buffer. The caller owns the bytes that {@link MessageBatch.take} returns; they are never
 * written again.
 */
export class MessageBatch {
  #slab: Uint8Array
  #start = 0
  #end = 0

  /** Creates an empty batch; `capacity` bytes fit before it grows. */
  constructor(capacity: number = 0) {
    this.#slab = new Uint8Array(capacity)
  }

  /** Bytes written but not taken yet. */
  get length(): number {
    return this.#end - this.#start
  }

  /** Returns the bytes written since the last call, or undefined if there are none. */
  take(): Uint8Array | undefined {
    if (this.#end === this.#start) return undefined
    const bytes = this.#slab.subarray(this.#start, this.#end)
    this.#start = this.#end
    return bytes
  }

  /** Discards the bytes written but not taken yet. */
  clear(): void {
    this.#start = this.#end
  }

  /** Writes a handshake (BEP 3); `infoHash` and `peerId` have 20 bytes each. */
  handshake(infoHash: Uint8Array, peerId: Uint8Array, flags: HandshakeFlags): void {
    const at = this.#reserve(handshakeLength)
    this.#slab.set(protocolHeader, at)
    this.#slab.set(formatReserved(flags), at + 20)
    this.#slab.set(infoHash, at + 28)
    this.#slab.set(peerId, at + 48)
  }

  /** Writes a message of length 0. */
  keepAlive(): void {
    this.#uint32(this.#reserve(4), 0)
  }

  /** Writes a message without payload: choke, unchoke, interested, not interested, have all, have none. */
  empty(id: number): void {
    this.#head(id, 1)
  }

  /** Writes a message about a piece: have, suggest, allowed fast. */
  index(id: number, piece: number): void {
    this.#uint32(this.#head(id, 5), piece)
  }

  /** Writes a message about a block: request, cancel, reject. */
  range(id: number, piece: number, offset: number, length: number): void {
    const at = this.#head(id, 13)
    this.#uint32(at, piece)
    this.#uint32(at + 4, offset)
    this.#uint32(at + 8, length)
  }

  /** Writes the port of a DHT node (BEP 5). */
  port(port: number): void {
    const at = this.#head(messageIds.port, 3)
    this.#slab[at] = port >> 8
    this.#slab[at + 1] = port & 0xff
  }

  /** Writes the header of a piece message with a block of `length` bytes. */
  pieceHeader(piece: number, offset: number, length: number): void {
    const at = this.#reserve(13)
    this.#uint32(at, 9 + length)
    this.#slab[at + 4] = messageIds.piece
    this.#uint32(at + 5, piece)
    this.#uint32(at + 9, offset)
  }

  /** Writes a message with any payload, which is copied. */
  payload(id: number, payload: Uint8Array): void {
    const at = this.#head(id, 1 + payload.length)
    this.#slab.set(payload, at)
  }

  /** Writes an extended message (BEP 10); the payload is copied. */
  extended(extendedId: number, payload: Uint8Array): void {
    const at = this.#head(messageIds.extended, 2 + payload.length)
    this.#slab[at] = extendedId
    this.#slab.set(payload, at + 1)
  }

  #head(id: number, length: number): number {
    const at = this.#reserve(4 + length)
    this.#uint32(at, length)
    this.#slab[at + 4] = id
    return at + 5
  }

  #reserve(length: number): number {
    const at = this.#end
    if (at + length > this.#slab.length) return this.#grow(length)
    this.#end = at + length
    return at
  }

  #grow(length: number): number {
    const kept = this.length
    const needed = kept + length
    const slab = new Uint8Array(needed > slabLength / 2 ? 2 * needed : slabLength)
    slab.set(this.#slab.subarray(this.#start, this.#end))
    this.#slab = slab
    this.#start = 0
    this.#end = needed
    return kept
  }

  #uint32(at: number, value: number): void {
    const slab = this.#slab
    slab[at] = value >>> 24
    slab[at + 1] = value >>> 16
    slab[at + 2] = value >>> 8
    slab[at + 3] = value
  }
}

/** Returns the bytes of the messages that `write` writes. */
export function encode(write: (batch: MessageBatch) => void): Uint8Array {
  const batch = new MessageBatch()
  write(batch)
  return batch.take() ?? new Uint8Array(0)
}

/** Returns the bytes of one request message for each (piece, offset, length) of a flat list. */
export function encodeRequests(list: ArrayLike<number>): Uint8Array {
  const batch = new MessageBatch((list.length / 3) * 17)
  writeRequests(batch, list)
  return batch.take() ?? new Uint8Array(0)
}

/** Writes one request message for each (piece, offset, length) of a flat list. */
export function writeRequests(batch: MessageBatch, list: ArrayLike<number>): void {
  for (let at = 0; at + 2 < list.length; at += 3) {
    batch.range(messageIds.request, list[at] ?? 0, list[at + 1] ?? 0, list[at + 2] ?? 0)
  }
}
