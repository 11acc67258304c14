import { bitsLength } from '../util/bits.ts'
import { TorrentError } from '../util/errors.ts'
import type { WireLimits } from './limits.ts'
import { handshakeLength, messageIds, protocolHeader, uint32 } from './messages.ts'
import { protocolError } from './protocol-error.ts'

/** Callbacks of a {@link WireDecoder}. Byte arrays are borrowed for the call, unless a block is `owned`. */
export interface WireDecoderHandler {
  onHandshake(reserved: Uint8Array, infoHash: Uint8Array, peerId: Uint8Array): void
  onKeepAlive(): void
  /** Choke, unchoke, interested, not interested, have all, have none: see `messageIds`. */
  onEmpty(id: number): void
  /** Have, suggest, allowed fast. */
  onIndex(id: number, piece: number): void
  /**
   * Request, cancel, reject. Returns the change of `creditBytes`: the length of an accepted request, or a negative number if the request is
   * so short that the answer costs more than it is worth; a negative number for a cancelled request; otherwise 0.
   */
  onRange(id: number, piece: number, offset: number, length: number): number
  onBitfield(bytes: Uint8Array): void
  /** The header of a piece message arrived. May return memory of exactly `length` bytes to receive the block into. */
  onBlockStart(piece: number, offset: number, length: number): Uint8Array | undefined
  /** A complete block; `owned` if `data` is the memory from `onBlockStart`. */
  onBlock(piece: number, offset: number, data: Uint8Array, owned: boolean): void
  onPort(port: number): void
  onExtended(id: number, payload: Uint8Array): void
}

// handshake -> head -> (block | payload | skip) -> head -> ...; any -> stopped
// Each step sets the next state before it calls the handler, because the handler may stop the decoder.
type State = 'handshake' | 'head' | 'block' | 'payload' | 'skip' | 'stopped'

// The head of a message: 4 bytes of length, the id and at most three numbers.
const headLengthMax = 17
// Payload memory grows with the bytes received, not with the announced length, which may be false.
const firstPayloadLength = 4096
const keptPayloadLength = 32 * 1024
/** Units of work of expensive messages: a scan of all pieces, a bencoded dictionary, a cancelled request. */
const workOf: ReadonlyMap<number, number> = new Map([
  [messageIds.bitfield, 250],
  [messageIds.haveAll, 250],
  [messageIds.haveNone, 250],
  [messageIds.extended, 10],
  [messageIds.cancel, 8]
])

/**
 * Decodes the bytes of a peer into messages. Does no I/O and accepts any chunk boundaries. Copies the handshake, messages that are split
 * between chunks, and blocks for which `onBlockStart` returned memory. Passes on everything else without a copy. After an exception it is
 * stopped and ignores further bytes.
 */
export class WireDecoder {
  /**
   * Units of work so far: 1 per message, more for expensive ones (`workOf`), and 0 for accepted requests and for blocks that were
   * received into the memory of `onBlockStart`. An accepted short request counts 1.
   */
  work = 0
  /** `push` returns once `work` reaches this. */
  workMax: number = Number.POSITIVE_INFINITY
  /**
   * Bytes of blocks received into the memory of `onBlockStart` and of accepted requests. They offset the CPU time that is charged to the
   * peer; see `handling.ts`.
   */
  creditBytes = 0
  readonly #handler: WireDecoderHandler
  readonly #limits: WireLimits
  readonly #bitfieldLengthMax: number
  #state: State = 'handshake'
  // Start of a handshake or head that continues in the next chunk.
  #scratch: Uint8Array = new Uint8Array(handshakeLength)
  #scratchLength = 0
  #scratchNeed = 0
  // The block, payload or skipped message being received.
  #id = 0
  #length = 0
  #filled = 0
  #piece = 0
  #offset = 0
  #target: Uint8Array | undefined
  #blockMemory: Uint8Array | undefined
  #payloadMemory: Uint8Array | undefined

  /** Creates a decoder that expects the handshake first. */
  constructor(handler: WireDecoderHandler, limits: WireLimits) {
    this.#handler = handler
    this.#limits = limits
    this.#bitfieldLengthMax = bitsLength(limits.pieceCount)
  }

  /** Ignores all further bytes, including the rest of the current chunk. */
  stop(): void {
    this.#state = 'stopped'
    this.#target = undefined
    this.#blockMemory = undefined
    this.#payloadMemory = undefined
  }

  /** Releases the memory from `onBlockStart`: the block being received is moved to the decoder's own memory. */
  detach(): void {
    if (this.#target === undefined) return
    this.#blockMemory ??= new Uint8Array(this.#limits.blockLength)
    this.#blockMemory.set(this.#target.subarray(0, this.#filled))
    this.#target = undefined
  }

  /**
   * Decodes a chunk, which is borrowed for the call, from byte `start` on. Returns the end of the decoded part, which is before the end of
   * the chunk if `work` reaches `workMax`.
   * @throws TorrentError ERR_WIRE_PROTOCOL or ERR_WIRE_LIMIT
   */
  push(chunk: Uint8Array, start = 0): number {
    try {
      let at = start
      while (at < chunk.length && this.work < this.workMax) {
        switch (this.#state) {
          case 'head':
            at = this.#head(chunk, at)
            break
          case 'block':
            at = this.#block(chunk, at)
            break
          case 'payload':
            at = this.#payload(chunk, at)
            break
          case 'skip': {
            const length = Math.min(this.#length - this.#filled, chunk.length - at)
            this.#filled += length
            at += length
            if (this.#filled === this.#length) this.#state = 'head'
            break
          }
          case 'handshake':
            at = this.#handshake(chunk, at)
            break
          default:
            return chunk.length
        }
      }
      return at
    } catch (error) {
      this.stop()
      throw error
    }
  }

  #handshake(chunk: Uint8Array, at: number): number {
    const length = Math.min(handshakeLength - this.#scratchLength, chunk.length - at)
    this.#scratch.set(chunk.subarray(at, at + length), this.#scratchLength)
    const from = this.#scratchLength
    this.#scratchLength += length
    // Refuse another protocol at the first byte that differs.
    for (let n = from; n < this.#scratchLength && n < protocolHeader.length; n++) {
      if (this.#scratch[n] !== protocolHeader[n]) throw protocolError('the peer does not speak BitTorrent')
    }
    if (this.#scratchLength === handshakeLength) {
      const bytes = this.#scratch
      this.#scratch = new Uint8Array(headLengthMax)
      this.#scratchLength = 0
      this.work++
      this.#state = 'head'
      this.#handler.onHandshake(bytes.subarray(20, 28), bytes.subarray(28, 48), bytes.subarray(48))
    }
    return at + length
  }

  #head(chunk: Uint8Array, at: number): number {
    if (this.#scratchLength === 0) {
      const used = this.#parse(chunk, at, chunk.length - at)
      if (used > 0) return at + used
      this.#scratchLength = chunk.length - at
      this.#scratch.set(chunk.subarray(at))
      return chunk.length
    }
    while (at < chunk.length && this.#scratchLength < this.#scratchNeed) {
      this.#scratch[this.#scratchLength++] = chunk[at++] ?? 0
    }
    if (this.#scratchLength === this.#scratchNeed) {
      const length = this.#scratchLength
      this.#scratchLength = 0
      if (this.#parse(this.#scratch, 0, length) === 0) this.#scratchLength = length
    }
    return at
  }

  // Parses the head at `at` and returns its length. If it is incomplete, returns 0 and sets #scratchNeed to the length needed.
  #parse(bytes: Uint8Array, at: number, available: number): number {
    if (available < 4) return this.#need(4)
    const length = uint32(bytes, at)
    if (length === 0) {
      this.work++
      this.#handler.onKeepAlive()
      return 4
    }
    if (available < 5) {
      if (
        length >
        1 + Math.max(this.#bitfieldLengthMax, this.#limits.unknownLength, this.#limits.blockLength + 8)
      ) {
        throw tooLong(-1, length)
      }
      return this.#need(5)
    }
    const id = bytes[at + 4] ?? 0
    if (id !== messageIds.piece) this.work += workOf.get(id) ?? 1
    switch (id) {
      case messageIds.piece:
        if (length > 9 + this.#limits.blockLength) throw tooLong(id, length)
        if (length <= 9) throw wrongLength(id, length)
        if (available < 13) return this.#need(13)
        this.#startBlock(uint32(bytes, at + 5), uint32(bytes, at + 9), length - 9)
        return 13
      case messageIds.request:
      case messageIds.cancel:
      case messageIds.reject:
        if (length !== 13) throw wrongLength(id, length)
        if (available < 17) return this.#need(17)
        this.#countUpload(
          this.#handler.onRange(id, uint32(bytes, at + 5), uint32(bytes, at + 9), uint32(bytes, at + 13))
        )
        return 17
      case messageIds.have:
      case messageIds.suggest:
      case messageIds.allowedFast:
        if (length !== 5) throw wrongLength(id, length)
        if (available < 9) return this.#need(9)
        this.#handler.onIndex(id, uint32(bytes, at + 5))
        return 9
      case messageIds.choke:
      case messageIds.unchoke:
      case messageIds.interested:
      case messageIds.notInterested:
      case messageIds.haveAll:
      case messageIds.haveNone:
        if (length !== 1) throw wrongLength(id, length)
        this.#handler.onEmpty(id)
        return 5
      case messageIds.port:
        if (length !== 3) throw wrongLength(id, length)
        if (available < 7) return this.#need(7)
        this.#handler.onPort(((bytes[at + 5] ?? 0) << 8) | (bytes[at + 6] ?? 0))
        return 7
      case messageIds.bitfield:
        if (length - 1 > this.#bitfieldLengthMax) throw tooLong(id, length)
        this.#startPayload(id, length - 1, 'payload')
        return 5
      case messageIds.extended:
        if (length < 2) throw wrongLength(id, length)
        if (length - 2 > this.#limits.extendedLength) throw tooLong(id, length)
        this.#startPayload(id, length - 1, 'payload')
        return 5
      default:
        if (length > this.#limits.unknownLength) throw tooLong(id, length)
        this.#startPayload(id, length - 1, 'skip')
        return 5
    }
  }

  #countUpload(length: number): void {
    if (length > 0) this.work--
    this.creditBytes += length
  }

  #need(length: number): 0 {
    this.#scratchNeed = length
    return 0
  }

  #startBlock(piece: number, offset: number, length: number): void {
    this.#piece = piece
    this.#offset = offset
    this.#length = length
    this.#filled = 0
    this.#state = 'block'
    this.#target = this.#handler.onBlockStart(piece, offset, length)
    if (this.#target !== undefined && this.#target.length !== length) {
      throw new TorrentError(
        'ERR_WIRE_ARGUMENT',
        `memory of ${this.#target.length} bytes was given for a block of ${length}`
      )
    }
  }

  #block(chunk: Uint8Array, at: number): number {
    const missing = this.#length - this.#filled
    const available = chunk.length - at
    const target = this.#target
    if (target === undefined && this.#filled === 0 && available >= missing) {
      this.#state = 'head'
      this.work++
      this.#handler.onBlock(this.#piece, this.#offset, chunk.subarray(at, at + missing), false)
      return at + missing
    }
    const memory = target ?? (this.#blockMemory ??= new Uint8Array(this.#limits.blockLength))
    const length = Math.min(available, missing)
    memory.set(chunk.subarray(at, at + length), this.#filled)
    this.#filled += length
    if (target !== undefined) this.creditBytes += length
    if (length === missing) {
      this.#target = undefined
      this.#state = 'head'
      if (target === undefined) {
        this.work++
        this.#handler.onBlock(this.#piece, this.#offset, memory.subarray(0, this.#length), false)
      } else {
        this.#handler.onBlock(this.#piece, this.#offset, target, true)
      }
    }
    return at + length
  }

  #startPayload(id: number, length: number, state: 'payload' | 'skip'): void {
    this.#id = id
    this.#length = length
    this.#filled = 0
    if (length > 0) this.#state = state
    else if (state === 'payload') this.#deliver(new Uint8Array(0))
  }

  #payload(chunk: Uint8Array, at: number): number {
    const missing = this.#length - this.#filled
    const available = chunk.length - at
    if (this.#filled === 0 && available >= missing) {
      this.#state = 'head'
      this.#deliver(chunk.subarray(at, at + missing))
      return at + missing
    }
    const length = Math.min(available, missing)
    const memory = this.#memoryFor(this.#filled + length)
    memory.set(chunk.subarray(at, at + length), this.#filled)
    this.#filled += length
    if (length === missing) {
      if (memory.length > keptPayloadLength) this.#payloadMemory = undefined
      this.#state = 'head'
      this.#deliver(memory.subarray(0, this.#length))
    }
    return at + length
  }

  #memoryFor(length: number): Uint8Array {
    let memory = this.#payloadMemory
    if (memory === undefined || memory.length < length) {
      const grown = new Uint8Array(Math.max(firstPayloadLength, Math.min(2 * length, this.#length)))
      if (memory !== undefined) grown.set(memory.subarray(0, this.#filled))
      this.#payloadMemory = memory = grown
    }
    return memory
  }

  #deliver(payload: Uint8Array): void {
    if (this.#id === messageIds.bitfield) this.#handler.onBitfield(payload)
    else this.#handler.onExtended(payload[0] ?? 0, payload.subarray(1))
  }
}

function wrongLength(id: number, length: number): TorrentError {
  return protocolError(`a message with id ${id} cannot have ${length} bytes`, { id, length })
}

function tooLong(id: number, length: number): TorrentError {
  const what = id < 0 ? 'a message' : `a message with id ${id}`
  return new TorrentError('ERR_WIRE_LIMIT', `${what} of ${length} bytes is too long`, {
    details: { id, length }
  })
}
