import {
  formatReserved,
  type HandshakeFlags,
  handshakeLength,
  messageIds,
  protocolHeader
} from './messages.ts'

const slabLength = 4096

/**
 * Messages written one after another into one buffer. What {@link MessageBatch.take} returns belongs to the caller for
 * good: the memory is never written again.
 */
export class MessageBatch {
  #slab: Uint8Array
  #start = 0
  #end = 0

  /** An empty batch; `capacity` bytes fit before it grows. */
  constructor(capacity: number = 0) {
    this.#slab = new Uint8Array(capacity)
  }

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.#end - this.#start
  }

  /** The bytes written since the last call, or undefined when there are none. */
  take(): Uint8Array | undefined {
    if (this.#end === this.#start) return undefined
    const bytes = this.#slab.subarray(this.#start, this.#end)
    this.#start = this.#end
    return bytes
  }

  /** Forgets what was written and not yet taken. */
  clear(): void {
    this.#start = this.#end
  }

  /** A handshake (BEP 3): 20 bytes of info hash, 20 bytes of peer id. */
  handshake(infoHash: Uint8Array, peerId: Uint8Array, flags: HandshakeFlags): void {
    const at = this.#reserve(handshakeLength)
    this.#slab.set(protocolHeader, at)
    this.#slab.set(formatReserved(flags), at + 20)
    this.#slab.set(infoHash, at + 28)
    this.#slab.set(peerId, at + 48)
  }

  /** A message of length 0. */
  keepAlive(): void {
    this.#uint32(this.#reserve(4), 0)
  }

  /** A message without payload: choke, unchoke, interested, not interested, have all, have none. */
  empty(id: number): void {
    this.#head(id, 1)
  }

  /** A message about a piece: have, suggest, allowed fast. */
  index(id: number, piece: number): void {
    this.#uint32(this.#head(id, 5), piece)
  }

  /** A message about a block: request, cancel, reject. */
  range(id: number, piece: number, offset: number, length: number): void {
    const at = this.#head(id, 13)
    this.#uint32(at, piece)
    this.#uint32(at + 4, offset)
    this.#uint32(at + 8, length)
  }

  /** The port of a DHT node (BEP 5). */
  port(port: number): void {
    const at = this.#head(messageIds.port, 3)
    this.#slab[at] = port >> 8
    this.#slab[at + 1] = port & 0xff
  }

  /** The header of a block of `length` bytes in a piece message. */
  pieceHeader(piece: number, offset: number, length: number): void {
    const at = this.#reserve(13)
    this.#uint32(at, 9 + length)
    this.#slab[at + 4] = messageIds.piece
    this.#uint32(at + 5, piece)
    this.#uint32(at + 9, offset)
  }

  /** A message with any payload, which is copied. */
  payload(id: number, payload: Uint8Array): void {
    const at = this.#head(id, 1 + payload.length)
    this.#slab.set(payload, at)
  }

  /** An extended message (BEP 10); the payload is copied. */
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

/** The bytes of the messages that `write` puts into a batch. */
export function encode(write: (batch: MessageBatch) => void): Uint8Array {
  const batch = new MessageBatch()
  write(batch)
  return batch.take() ?? new Uint8Array(0)
}

/** The bytes of one request message for each (piece, offset, length) of a flat list. */
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
