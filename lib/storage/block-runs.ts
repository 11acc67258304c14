import { blockLength, type Layout } from '../metainfo/layout.ts'
import type { PieceBuffer } from './piece-buffer.ts'
import type { Storage } from './storage.ts'

/** Writes the present blocks of a piece, with one write for each contiguous run. */
export async function writeBlocks(layout: Layout, storage: Storage, buffer: PieceBuffer): Promise<void> {
  const { piece, bytes, size } = buffer
  const blocks = buffer.present()
  for (let at = 0; at < blocks.length; ) {
    const first = blocks[at] ?? 0
    let count = 1
    while (blocks[at + count] === first + count) count++
    const from = first * blockLength
    const run = bytes.subarray(from, Math.min(size, from + count * blockLength))
    await storage.write(layout.pieceOffset(piece) + from, [run])
    at += count
  }
}
