import { createCipheriv, createHash } from 'node:crypto'
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { encode } from '../lib/bencode/encode.ts'
import type { Metainfo } from '../lib/metainfo/metainfo.ts'
import { parseTorrent } from '../lib/metainfo/parse-torrent.ts'

/** What a {@link Pattern} is made from; the same everywhere gives the same bytes. */
export interface PatternTask {
  readonly pieceLength: number
  /** Bytes of all. */
  readonly length: number
  /** Nothing but zeros, as in sparse files. */
  readonly zeros?: boolean
}

const sampleBytes = 16 << 20
/** Pieces of at least this length come from a sample that repeats within them. */
const tiledBytes = 32 << 20
/** Length of that sample: a prime number of blocks, so that blocks mixed up by a power of two are noticed. */
const tileBytes = 1021 << 14
/** Distance of consecutive pieces in that sample. */
const tileStep = 339 << 14
/** Bytes that are hashed or written at a time; also the longest view of a block. */
const mostViewed = 1 << 20

/**
 * A torrent's bytes of which only some pieces are held, because the same few different pieces come again and again: so peers need
 * no file, and a torrent of any length is made at once.
 */
export class Pattern {
  readonly pieceLength: number
  readonly length: number
  readonly pieceCount: number
  readonly #sample: Buffer
  readonly #distinct: number
  readonly #step: number
  readonly #period: number

  constructor({ pieceLength, length, zeros = false }: PatternTask) {
    this.pieceLength = pieceLength
    this.length = length
    this.pieceCount = Math.ceil(length / pieceLength)
    // An odd number, so that pieces mixed up by a power of two are noticed.
    this.#distinct = zeros ? 1 : Math.min(97, Math.max(3, Math.floor(sampleBytes / pieceLength) | 1))
    const tiled = pieceLength >= tiledBytes
    this.#step = tiled ? tileStep : pieceLength
    this.#period = tiled ? tileBytes : this.#distinct * pieceLength
    const noughts = Buffer.alloc(this.#period)
    const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 5), Buffer.alloc(16))
    const sample = zeros ? noughts : cipher.update(noughts)
    // The start of the sample follows its end, for views that cross the end.
    this.#sample = tiled ? Buffer.concat([sample, sample.subarray(0, mostViewed)]) : sample
  }

  /** A view of a block of at most 1 MiB. */
  block(piece: number, offset: number, length: number): Buffer {
    const at = ((piece % this.#distinct) * this.#step + offset) % this.#period
    return this.#sample.subarray(at, at + length)
  }

  /** Bytes of a piece; the last may be shorter. */
  pieceSize(piece: number): number {
    return Math.min(this.pieceLength, this.length - piece * this.pieceLength)
  }

  /** The .torrent of a file, or of a folder with files of these lengths. */
  torrent(name: string, fileLengths?: readonly number[]): { bytes: Buffer; metainfo: Metainfo } {
    const distinct = Math.min(this.#distinct, this.pieceCount)
    const digests = Array.from({ length: distinct }, (_, n) => this.#digest(n, this.pieceLength))
    const pieces = Buffer.alloc(20 * this.pieceCount)
    for (let piece = 0; piece < this.pieceCount; piece++) {
      digests[piece % distinct]?.copy(pieces, 20 * piece)
    }
    const last = this.pieceCount - 1
    this.#digest(last, this.pieceSize(last)).copy(pieces, 20 * last)
    const files = fileLengths?.map((length, n) => ({ length, path: [`${n % 100}`, `${n}.bin`] }))
    const info = {
      ...(files === undefined ? { length: this.length } : { files }),
      name,
      'piece length': this.pieceLength,
      pieces
    }
    const bytes = Buffer.from(encode({ info }))
    return { bytes, metainfo: parseTorrent(bytes) }
  }

  /** Writes it all. */
  write(file: string): void {
    const handle = openSync(file, 'w')
    for (let piece = 0; piece < this.pieceCount; piece++) {
      for (const view of this.#views(piece, this.pieceSize(piece))) writeSync(handle, view)
    }
    closeSync(handle)
  }

  /** Throws when a chunk that begins at an offset of the torrent is anything else. */
  compare(byteOffset: number, chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const piece = Math.floor((byteOffset + at) / this.pieceLength)
      const offset = (byteOffset + at) % this.pieceLength
      const count = Math.min(mostViewed, this.pieceSize(piece) - offset, chunk.length - at)
      if (!this.block(piece, offset, count).equals(chunk.subarray(at, at + count)))
        throw new Error(`bytes are wrong near ${byteOffset + at}`)
      at += count
    }
  }

  /** Throws when a file, or what of it lies below `length`, is anything else. */
  require(file: string, length: number = this.length): void {
    const { size } = statSync(file)
    if (size !== length) throw new Error(`${file} has ${size} bytes and not ${length}`)
    const handle = openSync(file, 'r')
    const memory = Buffer.allocUnsafe(mostViewed)
    try {
      for (let at = 0; at < length; ) {
        const count = Math.min(memory.length, length - at)
        readSync(handle, memory, 0, count, at)
        this.compare(at, memory.subarray(0, count))
        at += count
      }
    } catch (thrown) {
      throw new Error(`${file}: ${thrown instanceof Error ? thrown.message : thrown}`)
    } finally {
      closeSync(handle)
    }
  }

  #digest(piece: number, size: number): Buffer {
    const hash = createHash('sha1')
    for (const view of this.#views(piece, size)) hash.update(view)
    return hash.digest()
  }

  *#views(piece: number, size: number): Generator<Buffer> {
    for (let at = 0; at < size; at += mostViewed) yield this.block(piece, at, Math.min(mostViewed, size - at))
  }
}

/** The 20 bytes that peers name a torrent by. */
export function infoHashOf({ infoHashes }: Metainfo): Uint8Array {
  return infoHashes.v1 ?? new Uint8Array(20)
}
