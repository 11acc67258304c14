import type { FileEntry } from './metainfo.ts'

/** The padding of a torrent (BEP 47), in bytes per piece. */
export class Padding {
  /** Bytes of all pad files. */
  readonly length: number
  /** Bytes of padding at the end of each piece. */
  readonly #tails: Uint32Array
  /** Bytes of padding elsewhere in a piece. Few pieces have some: most pad files fill up to a piece boundary. */
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

  /** Returns the bytes of padding in a piece. */
  size(piece: number): number {
    return this.tail(piece) + (this.#inner.get(piece) ?? 0)
  }

  /** Returns the bytes of padding at the end of a piece. */
  tail(piece: number): number {
    return this.#tails[piece] ?? 0
  }

  /** Reclassifies the tail padding of a piece as inner padding, because data follows it. */
  #follow(tails: Uint32Array, piece: number): void {
    const size = tails[piece] ?? 0
    if (size === 0) return
    tails[piece] = 0
    this.#inner.set(piece, (this.#inner.get(piece) ?? 0) + size)
  }
}

/** Returns the padding of `files`; undefined for none. */
export function paddingOf(
  pieceLength: number,
  pieceCount: number,
  files: readonly FileEntry[]
): Padding | undefined {
  const isPadded = files.some(({ pad, length }) => pad && length > 0)
  return isPadded ? new Padding(pieceLength, pieceCount, files) : undefined
}
