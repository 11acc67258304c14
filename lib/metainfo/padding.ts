import type { FileEntry } from './metainfo.ts'

/** The padding of a torrent (BEP 47), counted for each piece. */
export class Padding {
  /** Bytes of all pad files. */
  readonly length: number
  /** Bytes of padding at the end of each piece. */
  readonly #tails: Uint32Array
  /** Bytes of other padding, for the few pieces that have some: most pad files fill up to a piece border. */
  readonly #inner = new Map<number, number>()

  constructor(pieceLength: number, pieceCount: number, files: readonly FileEntry[]) {
    const tails = new Uint32Array(pieceCount)
    let length = 0
    for (const file of files) {
      if (file.length === 0) continue
      const fileEnd = file.offset + file.length
      const first = Math.floor(file.offset / pieceLength)
      if (!file.pad) {
        this.#follow(tails, first)
        continue
      }
      length += file.length
      for (let piece = first; piece * pieceLength < fileEnd; piece++) {
        const pieceEnd = (piece + 1) * pieceLength
        const size = Math.min(fileEnd, pieceEnd) - Math.max(file.offset, piece * pieceLength)
        tails[piece] = (tails[piece] ?? 0) + size
      }
    }
    this.length = length
    this.#tails = tails
  }

  /** Bytes of padding in a piece. */
  size(piece: number): number {
    return this.tail(piece) + (this.#inner.get(piece) ?? 0)
  }

  /** Bytes of padding at the end of a piece. */
  tail(piece: number): number {
    return this.#tails[piece] ?? 0
  }

  /** Data follows the padding that the piece has so far. */
  #follow(tails: Uint32Array, piece: number): void {
    const size = tails[piece] ?? 0
    if (size === 0) return
    tails[piece] = 0
    this.#inner.set(piece, (this.#inner.get(piece) ?? 0) + size)
  }
}

/** The padding of `files`; undefined when there is none. */
export function paddingOf(
  pieceLength: number,
  pieceCount: number,
  files: readonly FileEntry[]
): Padding | undefined {
  const isPadded = files.some(({ pad, length }) => pad && length > 0)
  return isPadded ? new Padding(pieceLength, pieceCount, files) : undefined
}
