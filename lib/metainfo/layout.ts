import { blockLength } from '../util/block-length.ts'
import type { FileEntry, Metainfo } from './metainfo.ts'
import { type Padding, paddingOf } from './padding.ts'

export { blockLength }

/** The part of one file that a byte range of the torrent covers. */
export interface FileSpan {
  /** Index into the layout's files. */
  readonly fileIndex: number
  /** First byte in the file. */
  readonly fileOffset: number
  /** Length in bytes. */
  readonly length: number
}

/** Half-open range `[start, end)`. */
export interface Range {
  /** First position. */
  readonly start: number
  /** Position after the last one. */
  readonly end: number
}

/**
 * The division of a torrent's bytes into pieces, blocks and files; all of that arithmetic is here. Lengths, offsets and ranges count
 * pad files (BEP 47), as piece hashes do; `dataLength` and `dataSize` do not. Padding at the end of a piece is never
 * requested and has no blocks, unless the whole piece is padding.
 */
export class Layout {
  /** Bytes of all files, pad files included. */
  readonly length: number
  /** Bytes of each piece but the last. */
  readonly pieceLength: number
  /** Number of pieces. */
  readonly pieceCount: number
  /** Files in the order of their bytes, padding included. */
  readonly files: readonly FileEntry[]
  /** Blocks of each piece but the last, padding included. */
  readonly blocksPerPiece: number
  /** Computed on first use; null for a torrent without padding. */
  #padding: Padding | null | undefined

  /** Lays out `files`, which follow each other from offset 0. */
  constructor(pieceLength: number, files: readonly FileEntry[]) {
    this.pieceLength = pieceLength
    this.files = files
    const last = files.at(-1)
    this.length = last === undefined ? 0 : last.offset + last.length
    this.pieceCount = Math.ceil(this.length / pieceLength)
    this.blocksPerPiece = Math.ceil(pieceLength / blockLength)
  }

  /** Bytes of all files except pad files (BEP 47). */
  get dataLength(): number {
    return this.length - (this.#paddingOfFiles()?.length ?? 0)
  }

  /** Returns the bytes of a piece without padding. */
  dataSize(piece: number): number {
    return this.pieceSize(piece) - (this.#paddingOfFiles()?.size(piece) ?? 0)
  }

  /** Returns the bytes of the pieces `[start, end)` without padding. */
  dataBytesOf({ start, end }: Range): number {
    const padding = this.#paddingOfFiles()
    let bytes = this.bytesOf({ start, end })
    if (padding !== undefined) for (let piece = start; piece < end; piece++) bytes -= padding.size(piece)
    return bytes
  }

  /** Returns the offset of a piece's first byte. */
  pieceOffset(piece: number): number {
    return piece * this.pieceLength
  }

  /** Returns the bytes of a piece; the last may be shorter. */
  pieceSize(piece: number): number {
    return Math.min(this.pieceLength, this.length - piece * this.pieceLength)
  }

  /** Returns the bytes of the pieces `[start, end)`, padding included. */
  bytesOf({ start, end }: Range): number {
    return Math.min(this.length, end * this.pieceLength) - start * this.pieceLength
  }

  /** Returns the byte range of a piece. */
  pieceRange(piece: number): Range {
    const start = this.pieceOffset(piece)
    return { start, end: start + this.pieceSize(piece) }
  }

  /** Returns the index of the piece that holds a byte. */
  pieceAt(byteOffset: number): number {
    return Math.floor(byteOffset / this.pieceLength)
  }

  /** Returns the bytes of a piece to request: without the padding at its end, unless the whole piece is padding. */
  requestSize(piece: number): number {
    const size = this.pieceSize(piece)
    const tail = this.#paddingOfFiles()?.tail(piece) ?? 0
    return tail === size ? size : size - tail
  }

  /** Returns the number of blocks to request for a piece. */
  blockCount(piece: number): number {
    return Math.ceil(this.requestSize(piece) / blockLength)
  }

  /** Returns the blocks of a piece, padding included: the bits of its block map in resume records. */
  blocksWithPadding(piece: number): number {
    return Math.ceil(this.pieceSize(piece) / blockLength)
  }

  /** Returns the bytes to request for a block; the last block of a piece may be shorter. */
  blockSize(piece: number, block: number): number {
    return Math.min(blockLength, this.requestSize(piece) - block * blockLength)
  }

  /** Returns the pieces that overlap the bytes `[start, end)`. */
  piecesOf({ start, end }: Range): Range {
    if (end <= start) return { start: 0, end: 0 }
    return { start: this.pieceAt(start), end: this.pieceAt(end - 1) + 1 }
  }

  /** Returns the pieces that hold a file's bytes; an empty range for an empty file. */
  filePieces(fileIndex: number): Range {
    const file = this.files[fileIndex]
    return file === undefined
      ? { start: 0, end: 0 }
      : this.piecesOf({ start: file.offset, end: file.offset + file.length })
  }

  /** Returns the files that a piece overlaps, with the empty ones between them. */
  filesOf(piece: number): Range {
    const endByte = this.pieceOffset(piece) + this.pieceSize(piece)
    const start = this.fileAt(this.pieceOffset(piece))
    let end = start + 1
    while ((this.files[end]?.offset ?? endByte) < endByte) end++
    return { start, end }
  }

  /** Yields the file parts that the bytes `[start, end)` cover, in order, without empty files. */
  *spans({ start, end }: Range): Generator<FileSpan> {
    let at = start
    for (let fileIndex = this.fileAt(start); at < end; fileIndex++) {
      const file = this.files[fileIndex]
      if (file === undefined) return
      if (file.length === 0) continue
      const length = Math.min(end, file.offset + file.length) - at
      yield { fileIndex, fileOffset: at - file.offset, length }
      at += length
    }
  }

  /** Returns the index of the file that holds a byte: the last one that begins at or before it. */
  fileAt(byteOffset: number): number {
    let low = 0
    let high = this.files.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.files[middle]?.offset ?? 0) <= byteOffset) low = middle + 1
      else high = middle
    }
    // An empty file has the same offset as the next file, so the last match holds the byte.
    return Math.max(0, low - 1)
  }

  #paddingOfFiles(): Padding | undefined {
    if (this.#padding === undefined)
      this.#padding = paddingOf(this.pieceLength, this.pieceCount, this.files) ?? null
    return this.#padding ?? undefined
  }
}

/** Returns the layout of a torrent's files. */
export function layoutOf({ pieceLength, files }: Metainfo): Layout {
  return new Layout(pieceLength, files)
}
