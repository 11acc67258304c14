import type { Range } from '../metainfo/layout.ts'

/** Throws a RangeError for an offset that is no byte of any torrent. */
export function checkOffset(byteOffset: number): void {
  if (!Number.isSafeInteger(byteOffset) || byteOffset < 0) {
    throw new RangeError(`byteOffset must be a non-negative integer, not ${byteOffset}`)
  }
}

/** Returns the bytes that chunks fill from an offset; throws a RangeError where they leave a torrent of `length` bytes. */
export function writtenRange(byteOffset: number, chunks: readonly Uint8Array[], length: number): Range {
  const end = byteOffset + byteLengthOf(chunks)
  if (end > length) throw new RangeError(`bytes ${byteOffset} to ${end} leave the torrent of ${length} bytes`)
  return { start: byteOffset, end }
}

/** Bytes of all chunks. */
export function byteLengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
}
