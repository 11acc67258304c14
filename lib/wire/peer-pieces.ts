import BitField from 'bitfield'
import { allBits, bitsLength, countBits } from '../util/bits.ts'
import { protocolError } from './protocol-error.ts'

/** Callbacks of {@link PeerPieces}. */
export interface PeerPiecesMediator {
  /** Counts an invalid message that is ignored; may throw if there are too many. */
  oddMessage(what: string): void
  /** Counts a message that lists all pieces; may throw if there are too many. */
  bulkMessage(): void
}

/** The pieces that a peer has. Until the piece count is known, its messages are stored and checked later. */
export class PeerPieces {
  /** One bit per piece, the first in the highest bit of the first byte. Replaced once the count is known. */
  field: BitField
  /** Number of pieces that the peer is known to have. */
  total = 0
  readonly #countMax: number
  readonly #mediator: PeerPiecesMediator
  #count: number | undefined
  #bulk: 'none yet' | 'bitfield' | 'have all' | 'have none' = 'none yet'
  #heldLength = -1

  /** Creates an empty set of `count` pieces, or of at most `countMax` while the count is unknown. */
  constructor(count: number | undefined, countMax: number, mediator: PeerPiecesMediator) {
    this.#count = count
    this.#mediator = mediator
    this.#countMax = countMax
    this.field = count === undefined ? new BitField(0, { grow: countMax }) : new BitField(count)
  }

  /** Piece count of the torrent; undefined while it is unknown. */
  get count(): number | undefined {
    return this.#count
  }

  /** Whether a piece index can exist, as far as is known. */
  exists(piece: number): boolean {
    return piece < (this.#count ?? this.#countMax)
  }

  /** Whether the peer has every piece. */
  get seeding(): boolean {
    if (this.#count === undefined) return this.#bulk === 'have all'
    return this.#count > 0 && this.total === this.#count
  }

  /**
   * Adds a piece; returns false if the peer already had it.
   * @throws TorrentError ERR_WIRE_PROTOCOL if the piece does not exist
   */
  have(piece: number): boolean {
    if (this.#count === undefined && piece >= this.#countMax) {
      this.#mediator.oddMessage(`piece ${piece} exceeds the limit of ${this.#countMax} pieces`)
      return false
    }
    if (!this.exists(piece)) throw protocolError(`piece ${piece} does not exist`)
    if (this.field.get(piece)) return false
    this.field.set(piece)
    this.total++
    return true
  }

  /** Removes a piece (BEP 54); returns false if the peer did not have it or the count is unknown. */
  lose(piece: number): boolean {
    if (!this.exists(piece)) {
      this.#mediator.oddMessage(`piece ${piece} that the peer lost does not exist`)
      return false
    }
    if (this.#count === undefined || !this.field.get(piece)) return false
    this.field.set(piece, false)
    this.total--
    return true
  }

  /** Adds the pieces of a bitfield, which is copied; earlier pieces stay. */
  bitfield(bytes: Uint8Array): void {
    this.#told('bitfield')
    if (this.#count !== undefined && bytes.length !== bitsLength(this.#count))
      throw wrongBitfield(bytes.length, this.#count)
    this.#heldLength = bytes.length
    const buffer = this.field.buffer
    if (buffer.length > bytes.length && this.#count === undefined) {
      // Keep the longer length, so that `setCount` can detect pieces out of range.
      for (let n = 0; n < bytes.length; n++) buffer[n] = (buffer[n] ?? 0) | (bytes[n] ?? 0)
    } else {
      const merged = new Uint8Array(bytes)
      for (let n = 0; n < buffer.length; n++) merged[n] = (merged[n] ?? 0) | (buffer[n] ?? 0)
      if (this.#count !== undefined) this.#clearSpareBits(merged, this.#count)
      this.field.buffer = merged
    }
    this.total = countBits(this.field.buffer)
  }

  /** Adds all pieces (BEP 6). */
  haveAll(): void {
    this.#told('have all')
    if (this.#count !== undefined && this.total < this.#count) this.#fill(this.#count)
  }

  /** Records that the peer sent have none (BEP 6). */
  haveNone(): void {
    this.#told('have none')
  }

  /**
   * Sets the piece count and checks the stored messages; returns true if the peer sent any. Pieces out of range are ignored, because the
   * peer may have sent them before it knew the count.
   * @throws TorrentError ERR_WIRE_PROTOCOL if the length of the bitfield is wrong
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

  /** Copies the stored pieces that exist. */
  #takeOver(held: Uint8Array, count: number): void {
    const { buffer } = this.field
    if (held.subarray(buffer.length).some((byte) => byte !== 0))
      this.#mediator.oddMessage(`the peer has pieces beyond the ${count} of the torrent`)
    buffer.set(held.subarray(0, buffer.length))
    this.#clearSpareBits(buffer, count)
    this.total = countBits(buffer)
  }

  /**
   * Records a message that lists all pieces. BEP 3 and 6 allow one, right after the handshake, but real clients send another bitfield
   * instead of many haves. A later message only adds pieces.
   */
  #told(kind: 'bitfield' | 'have all' | 'have none'): void {
    this.#mediator.bulkMessage()
    if (this.#bulk !== 'have all') this.#bulk = kind
  }

  #clearSpareBits(bytes: Uint8Array, count: number): void {
    const last = bytes.length - 1
    const spare = (1 << (bytes.length * 8 - count)) - 1
    const byte = bytes[last] ?? 0
    if ((byte & spare) === 0) return
    bytes[last] = byte & ~spare
    this.#mediator.oddMessage('the spare bits of a bitfield are not zero')
  }

  #fill(count: number): void {
    this.field.buffer = allBits(count)
    this.total = count
  }
}

function wrongBitfield(length: number, count: number): Error {
  return protocolError(`a bitfield of ${length} bytes does not fit ${count} pieces`)
}
