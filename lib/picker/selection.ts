import type { Layout, Range } from '../metainfo/layout.ts'

/** Priority of what is selected without saying how urgently. */
export const normalPriority = 4

/** Refuses with a RangeError a priority that selects nothing, or that there is not. */
export function checkPriority(priority: number): void {
  if (Number.isInteger(priority) && priority >= 1 && priority <= 7) return
  throw new RangeError(`priority is ${priority}; it must be a whole number from 1 to 7`)
}

/**
 * What is wanted of a torrent: a priority for each file, 0 to 7, and byte ranges besides. A piece has the highest priority
 * of what touches it.
 */
export class Selection {
  readonly #layout: Layout
  readonly #files: Uint8Array
  #ranges: { readonly range: Range; readonly priority: number }[] = []

  /** A selection in which every file has the priority given. */
  constructor(layout: Layout, priority: number) {
    this.#layout = layout
    this.#files = new Uint8Array(layout.files.length).fill(priority)
  }

  /** The priority of each file of the layout. */
  get files(): readonly number[] {
    return [...this.#files]
  }

  /** The byte ranges that are wanted besides files. */
  get ranges(): readonly (Range & { readonly priority: number })[] {
    return this.#ranges.map(({ range, priority }) => ({ ...range, priority }))
  }

  /** The priority of a file, 0 for not selected. */
  file(index: number): number {
    return this.#files[index] ?? 0
  }

  /** Sets the priority of a file. */
  setFile(index: number, priority: number): void {
    if (index < this.#files.length) this.#files[index] = priority
  }

  /** Wants the bytes `[start, end)` of the torrent besides files, or (0) no longer; other ranges inside it go with it. */
  setRange(range: Range, priority: number): void {
    const rest = this.#ranges.flatMap((known) => {
      const before = { start: known.range.start, end: Math.min(known.range.end, range.start) }
      const after = { start: Math.max(known.range.start, range.end), end: known.range.end }
      return [before, after]
        .filter(({ start, end }) => end > start)
        .map((part) => ({ range: part, priority: known.priority }))
    })
    this.#ranges = priority > 0 ? [...rest, { range, priority }] : rest
  }

  /** The priority of each piece. */
  pieces(): Uint8Array {
    const pieces = new Uint8Array(this.#layout.pieceCount)
    const raise = ({ start, end }: Range, priority: number): void => {
      for (let piece = start; piece < Math.min(end, pieces.length); piece++) {
        if ((pieces[piece] ?? 0) < priority) pieces[piece] = priority
      }
    }
    for (let index = 0; index < this.#files.length; index++) {
      const priority = this.#files[index] ?? 0
      if (priority > 0 && this.#layout.files[index]?.pad === false)
        raise(this.#layout.filePieces(index), priority)
    }
    for (const { range, priority } of this.#ranges) raise(this.#layout.piecesOf(range), priority)
    return pieces
  }
}
