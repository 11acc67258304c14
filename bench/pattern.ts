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

  constructor({ pieceLength, length, zeros = false }: PatternTask) {
    this.pieceLength = pieceLength
    this.length = length
    this.pieceCount = Math.ceil(length / pieceLength)
    // An odd number, so that pieces mixed up by a power of two are noticed.
    this.#distinct = zeros ? 1 : Math.min(97, Math.max(3, Math.floor(sampleBytes / pieceLength) | 1))
    const noughts = Buffer.alloc(this.#distinct * pieceLength)
    const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 5), Buffer.alloc(16))
    this.#sample = zeros ? noughts : cipher.update(noughts)
  }

  /** A view of a block. */
  block(piece: number, offset: number, length: number): Buffer {
    const at = (piece % this.#distinct) * this.pieceLength + offset
    return this.#sample.subarray(at, at + length)
  }

  /** Bytes of a piece; the last may be shorter. */
  pieceSize(piece: number): number {
    return Math.min(this.pieceLength, this.length - piece * this.pieceLength)
  }

  /** The .torrent of a file, or of a folder with files of these lengths. */
  torrent(name: string, fileLengths?: readonly number[]): { bytes: Buffer; metainfo: Metainfo } {
    const digests = Array.from({ length: this.#distinct }, (_, n) =>
      createHash('sha1')
        .update(this.block(n, 0, this.pieceLength))
        .digest()
    )
    const pieces = Buffer.alloc(20 * this.pieceCount)
    for (let piece = 0; piece < this.pieceCount; piece++) {
      digests[piece % this.#distinct]?.copy(pieces, 20 * piece)
    }
    const last = this.pieceCount - 1
    createHash('sha1')
      .update(this.block(last, 0, this.pieceSize(last)))
      .digest()
      .copy(pieces, 20 * last)
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
      writeSync(handle, this.block(piece, 0, this.pieceSize(piece)))
    }
    closeSync(handle)
  }

  /** Throws when a file, or what of it lies below `length`, is anything else. */
  require(file: string, length: number = this.length): void {
    const { size } = statSync(file)
    if (size !== length) throw new Error(`${file} has ${size} bytes and not ${length}`)
    const handle = openSync(file, 'r')
    const memory = Buffer.allocUnsafe(Math.min(this.pieceLength, 1 << 20))
    try {
      for (let at = 0; at < length; ) {
        const piece = Math.floor(at / this.pieceLength)
        const offset = at % this.pieceLength
        const count = Math.min(memory.length, this.pieceSize(piece) - offset, length - at)
        readSync(handle, memory, 0, count, at)
        if (!memory.subarray(0, count).equals(this.block(piece, offset, count))) {
          throw new Error(`${file} is wrong near byte ${at}`)
        }
        at += count
      }
    } finally {
      closeSync(handle)
    }
  }
}

/** The 20 bytes that peers name a torrent by. */
export function infoHashOf({ infoHashes }: Metainfo): Uint8Array {
  return infoHashes.v1 ?? new Uint8Array(20)
}
