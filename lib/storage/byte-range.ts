import type { Range } from '../metainfo/layout.ts'

/** Throws a RangeError unless the offset is a non-negative safe integer. */
export function checkOffset(byteOffset: number): void {
  if (!Number.isSafeInteger(byteOffset) || byteOffset < 0) {
    throw new RangeError(`byteOffset must be a non-negative integer, not ${byteOffset}`)
  }
}

/** Returns the byte range that chunks fill from an offset; throws a RangeError when it ends after `length`, the torrent's size in bytes. */
export function writtenRange(byteOffset: number, chunks: readonly Uint8Array[], length: number): Range {
  const end = byteOffset + byteLengthOf(chunks)
  if (end > length)
    throw new RangeError(
      `bytes ${byteOffset} to ${end} are not all in the torrent, which has ${length} bytes`
    )
  return { start: byteOffset, end }
}

/** Returns the total size of chunks in bytes. */
export function byteLengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
}
