import { createCipheriv, createHash } from 'node:crypto'
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { encode } from '../lib/bencode/encode.ts'
import type { Metainfo } from '../lib/metainfo/metainfo.ts'
import { parseTorrent } from '../lib/metainfo/parse-torrent.ts'

/** Parameters of a {@link Pattern}; equal parameters give equal bytes in every process. */
export interface PatternTask {
  readonly pieceLength: number
  /** Total bytes. */
  readonly length: number
  /** Whether all bytes are zero, as in sparse files. */
  readonly zeros?: boolean
}

const sampleBytes = 16 << 20
/** Pieces of at least this length come from one sample that repeats within them. */
const tiledBytes = 32 << 20
/** Length of that sample: a prime number of blocks, so that a mix-up of blocks by a power of two is detected. */
const tileBytes = 1021 << 14
/** Offset between consecutive pieces in that sample. */
const tileStep = 339 << 14
/** Bytes hashed or written at a time; also the maximum length of a block view. */
const mostViewed = 1 << 20

/**
 * The bytes of a torrent that repeats a few different pieces, so that only those are in memory. Peers need no file, and a torrent of
 * any length is created at once.
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
    // Odd, so that a mix-up of pieces by a power of two is detected.
    this.#distinct = zeros ? 1 : Math.min(97, Math.max(3, Math.floor(sampleBytes / pieceLength) | 1))
    const tiled = pieceLength >= tiledBytes
    this.#step = tiled ? tileStep : pieceLength
    this.#period = tiled ? tileBytes : this.#distinct * pieceLength
    const noughts = Buffer.alloc(this.#period)
    const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 5), Buffer.alloc(16))
    const sample = zeros ? noughts : cipher.update(noughts)
    // Repeats the start of the sample after its end, for views across the end.
    this.#sample = tiled ? Buffer.concat([sample, sample.subarray(0, mostViewed)]) : sample
  }

  /** Returns a view of a block of at most 1 MiB. */
  block(piece: number, offset: number, length: number): Buffer {
    const at = ((piece % this.#distinct) * this.#step + offset) % this.#period
    return this.#sample.subarray(at, at + length)
  }

  /** Returns the bytes of a piece; the last may be shorter. */
  pieceSize(piece: number): number {
    return Math.min(this.pieceLength, this.length - piece * this.pieceLength)
  }

  /** Returns the .torrent of a file, or of a folder with files of these lengths. */
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

  /** Writes all bytes to a file. */
  write(file: string): void {
    const handle = openSync(file, 'w')
    for (let piece = 0; piece < this.pieceCount; piece++) {
      for (const view of this.#views(piece, this.pieceSize(piece))) writeSync(handle, view)
    }
    closeSync(handle)
  }

  /** Throws when a chunk at an offset of the torrent differs. */
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

  /** Throws when a file, or its first `length` bytes, differ. */
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

/** Returns the 20 bytes that identify a torrent to peers. */
export function infoHashOf({ infoHashes }: Metainfo): Uint8Array {
  return infoHashes.v1 ?? new Uint8Array(20)
}
