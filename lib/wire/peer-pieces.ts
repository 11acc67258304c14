import BitField from 'bitfield'
import { allBits, bitsLength, countBits } from '../util/bits.ts'
import { protocolError } from './protocol-error.ts'

/** Callbacks of {@link PeerPieces}. */
export interface PeerPiecesMediator {
  /** Something that makes no sense is ignored; may throw when there is too much of it. */
  odd(what: string): void
  /** The peer lists all pieces; may throw when it does that too often. */
  listed(): void
}

/** Which pieces a peer has. Until the number of pieces is known, what it says is held and checked later. */
export class PeerPieces {
  /** A bit for each piece, the first in the highest bit of the first byte; replaced when the count becomes known. */
  field: BitField
  /** How many pieces the peer has, as far as is known. */
  total = 0
  readonly #countMax: number
  readonly #mediator: PeerPiecesMediator
  #count: number | undefined
  #bulk: 'none yet' | 'bitfield' | 'have all' | 'have none' = 'none yet'
  #heldLength = -1

  /** Nothing yet, of `count` pieces, or of at most `countMax` while the count is unknown. */
  constructor(count: number | undefined, countMax: number, mediator: PeerPiecesMediator) {
    this.#count = count
    this.#mediator = mediator
    this.#countMax = countMax
    this.field = count === undefined ? new BitField(0, { grow: countMax }) : new BitField(count)
  }

  /** The number of pieces of the torrent, or undefined. */
  get count(): number | undefined {
    return this.#count
  }

  /** Whether there is such a piece, as far as is known. */
  exists(piece: number): boolean {
    return piece < (this.#count ?? this.#countMax)
  }

  /** Whether the peer has every piece. */
  get seeding(): boolean {
    if (this.#count === undefined) return this.#bulk === 'have all'
    return this.#count > 0 && this.total === this.#count
  }

  /**
   * Adds a piece; false when the peer had it already.
   * @throws TorrentError ERR_WIRE_PROTOCOL when there is no such piece.
   */
  have(piece: number): boolean {
    if (this.#count === undefined && piece >= this.#countMax) {
      this.#mediator.odd(`piece ${piece} is beyond all torrents`)
      return false
    }
    if (!this.exists(piece)) throw protocolError(`piece ${piece} does not exist`)
    if (this.field.get(piece)) return false
    this.field.set(piece)
    this.total++
    return true
  }

  /** Takes a piece away (BEP 54); false when the peer did not have it, or the count is unknown and nothing is sure. */
  lose(piece: number): boolean {
    if (!this.exists(piece)) {
      this.#mediator.odd(`piece ${piece} that the peer lost does not exist`)
      return false
    }
    if (this.#count === undefined || !this.field.get(piece)) return false
    this.field.set(piece, false)
    this.total--
    return true
  }

  /** Takes a bitfield (copied); single pieces that the peer named before stay. */
  bitfield(bytes: Uint8Array): void {
    this.#told('bitfield')
    if (this.#count !== undefined && bytes.length !== bitsLength(this.#count))
      throw wrongBitfield(bytes.length, this.#count)
    this.#heldLength = bytes.length
    const buffer = this.field.buffer
    if (buffer.length > bytes.length && this.#count === undefined) {
      // Kept as long as the longest of both, so that a piece out of range is found when the count is known.
      for (let n = 0; n < bytes.length; n++) buffer[n] = (buffer[n] ?? 0) | (bytes[n] ?? 0)
    } else {
      const merged = new Uint8Array(bytes)
      for (let n = 0; n < buffer.length; n++) merged[n] = (merged[n] ?? 0) | (buffer[n] ?? 0)
      if (this.#count !== undefined) this.#clearSpareBits(merged, this.#count)
      this.field.buffer = merged
    }
    this.total = countBits(this.field.buffer)
  }

  /** The peer has everything (BEP 6). */
  haveAll(): void {
    this.#told('have all')
    if (this.#count !== undefined && this.total < this.#count) this.#fill(this.#count)
  }

  /** The peer has nothing yet (BEP 6). */
  haveNone(): void {
    this.#told('have none')
  }

  /**
   * Sets the number of pieces and checks what was held; true when the peer has told of any piece. Pieces beyond are ignored: the peer
   * may have told of them before it knew the count itself.
   * @throws TorrentError ERR_WIRE_PROTOCOL when the bitfield has another length.
   */
  setCount(count: number): boolean {
    if (this.#count !== undefined) return false
    const held = this.field.buffer
    this.#count = count
    this.field = new BitField(count)
    if (this.#heldLength >= 0 && this.#heldLength !== this.field.buffer.length)
      throw wrongBitfield(this.#heldLength, count)
    if (held.length > 0) this.#takeOver(held, count)
    if (this.#bulk === 'have all') this.#fill(count)
    return this.total > 0 || this.#bulk !== 'none yet'
  }

  /** Takes what was held of pieces that exist. */
  #takeOver(held: Uint8Array, count: number): void {
    const { buffer } = this.field
    if (held.subarray(buffer.length).some((byte) => byte !== 0))
      this.#mediator.odd(`the peer has a piece that does not exist: there are ${count}`)
    buffer.set(held.subarray(0, buffer.length))
    this.#clearSpareBits(buffer, count)
    this.total = countBits(buffer)
  }

  /**
   * BEP 3 and 6 want one such message, right after the handshake, but clients in use send a further bitfield instead of many
   * haves. It may only add pieces.
   */
  #told(kind: 'bitfield' | 'have all' | 'have none'): void {
    this.#mediator.listed()
    if (this.#bulk !== 'have all') this.#bulk = kind
  }

  #clearSpareBits(bytes: Uint8Array, count: number): void {
    const last = bytes.length - 1
    const spare = (1 << (bytes.length * 8 - count)) - 1
    const byte = bytes[last] ?? 0
    if ((byte & spare) === 0) return
    bytes[last] = byte & ~spare
    this.#mediator.odd('the spare bits of a bitfield are not zero')
  }

  #fill(count: number): void {
    this.field.buffer = allBits(count)
    this.total = count
  }
}

function wrongBitfield(length: number, count: number): Error {
  return protocolError(`a bitfield of ${length} bytes for ${count} pieces`)
}
