import BitField from 'bitfield'
import { countBits } from '../util/bits.ts'
import { TorrentError } from '../util/errors.ts'

/** Bitfields and their kin that one peer may send: one a minute for a day. */
const bulkMessagesMax = 1440

/** Which pieces a peer has. Until the number of pieces is known, what it says is held and checked later. */
export class PeerPieces {
  /** A bit for each piece, the first in the highest bit of the first byte; replaced when the count becomes known. */
  field: BitField
  /** How many pieces the peer has, as far as is known. */
  total = 0
  readonly #countMax: number
  #count: number | undefined
  #bulk: 'none yet' | 'bitfield' | 'have all' | 'have none' = 'none yet'
  #bulkMessages = 0
  #heldLength = -1

  /** Nothing yet, of `count` pieces, or of at most `countMax` while the count is unknown. */
  constructor(count: number | undefined, countMax: number) {
    this.#count = count
    this.#countMax = countMax
    this.field = count === undefined ? new BitField(0, { grow: countMax }) : new BitField(count)
  }

  /** The number of pieces of the torrent, or undefined. */
  get count(): number | undefined {
    return this.#count
  }

  /** Whether the peer has every piece. */
  get seeding(): boolean {
    if (this.#count === undefined) return this.#bulk === 'have all'
    return this.#count > 0 && this.total === this.#count
  }

  /** Adds a piece; false when the peer had it already. */
  have(piece: number): boolean {
    if (piece >= (this.#count ?? this.#countMax)) throw protocolError(`piece ${piece} does not exist`)
    if (this.field.get(piece)) return false
    this.field.set(piece)
    this.total++
    return true
  }

  /** Takes a piece away (BEP 54); false when the peer did not have it, or the count is unknown and nothing is sure. */
  lose(piece: number): boolean {
    if (this.#count === undefined || piece >= this.#count || !this.field.get(piece)) return false
    this.field.set(piece, false)
    this.total--
    return true
  }

  /** Takes a bitfield (copied); single pieces that the peer named before stay. */
  bitfield(bytes: Uint8Array): void {
    this.#told('bitfield')
    if (this.#count !== undefined) checkBitfield(bytes, this.#count)
    this.#heldLength = bytes.length
    const buffer = this.field.buffer
    if (buffer.length > bytes.length && this.#count === undefined) {
      // Kept as long as the longest of both, so that a piece out of range is found when the count is known.
      for (let n = 0; n < bytes.length; n++) buffer[n] = (buffer[n] ?? 0) | (bytes[n] ?? 0)
    } else {
      const merged = new Uint8Array(bytes)
      for (let n = 0; n < buffer.length; n++) merged[n] = (merged[n] ?? 0) | (buffer[n] ?? 0)
      this.field.buffer = merged
    }
    this.total = countBits(this.field.buffer)
  }

  /** The peer has everything (BEP 6). */
  haveAll(): void {
    this.#told('have all')
    if (this.#count !== undefined) this.#fill(this.#count)
  }

  /** The peer has nothing yet (BEP 6). */
  haveNone(): void {
    this.#told('have none')
  }

  /**
   * Sets the number of pieces and checks what was held; true when the peer has told of any piece.
   * @throws TorrentError ERR_WIRE_PROTOCOL when it does not fit.
   */
  setCount(count: number): boolean {
    if (this.#count !== undefined) return false
    const held = this.field.buffer
    this.#count = count
    this.field = new BitField(count)
    if (this.#heldLength >= 0 && this.#heldLength !== this.field.buffer.length)
      throw wrongBitfield(this.#heldLength, count)
    for (let n = this.field.buffer.length; n < held.length; n++) {
      if (held[n] !== 0) throw protocolError(`the peer has a piece that does not exist: there are ${count}`)
    }
    this.field.buffer.set(held.subarray(0, this.field.buffer.length))
    checkSpareBits(this.field.buffer, count)
    if (this.#bulk === 'have all') this.#fill(count)
    else this.total = countBits(this.field.buffer)
    return this.total > 0 || this.#bulk !== 'none yet'
  }

  /**
   * BEP 3 and 6 want one such message, right after the handshake, but clients in use send a further bitfield instead of many
   * haves. It may only add pieces, and each costs us a look at all of them.
   */
  #told(kind: 'bitfield' | 'have all' | 'have none'): void {
    if (++this.#bulkMessages > bulkMessagesMax) {
      throw new TorrentError('ERR_WIRE_LIMIT', `more than ${bulkMessagesMax} messages that list all pieces`)
    }
    if (this.#bulk !== 'have all') this.#bulk = kind
  }

  #fill(count: number): void {
    this.field.buffer = fullBitfield(count)
    this.total = count
  }
}

/** A bitfield message of `count` pieces that are all there, the spare bits zero. */
export function fullBitfield(count: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(count / 8)).fill(0xff)
  const spare = bytes.length * 8 - count
  if (spare > 0) bytes[bytes.length - 1] = (0xff << spare) & 0xff
  return bytes
}

function checkBitfield(bytes: Uint8Array, count: number): void {
  if (bytes.length !== Math.ceil(count / 8)) throw wrongBitfield(bytes.length, count)
  checkSpareBits(bytes, count)
}

function checkSpareBits(bytes: Uint8Array, count: number): void {
  const spare = bytes.length * 8 - count
  if (spare > 0 && ((bytes[bytes.length - 1] ?? 0) & ((1 << spare) - 1)) !== 0) {
    throw protocolError('a bitfield with spare bits that are not zero')
  }
}

function wrongBitfield(length: number, count: number): TorrentError {
  return protocolError(`a bitfield of ${length} bytes for ${count} pieces`)
}

function protocolError(message: string): TorrentError {
  return new TorrentError('ERR_WIRE_PROTOCOL', message)
}
