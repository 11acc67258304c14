import type { Layout, Range } from '../metainfo/layout.ts'
import { show } from '../util/show.ts'

/** Default selection priority. */
export const normalPriority = 4

/** @throws RangeError unless the priority is a whole number from 1 to 7. */
export function checkPriority(priority: number): void {
  if (Number.isInteger(priority) && priority >= 1 && priority <= 7) return
  throw new RangeError(`priority is ${show(priority)}; it must be a whole number from 1 to 7`)
}

/**
 * The selection of a torrent: a priority for each file, 0 to 7, and byte ranges with priorities of their own. A piece has the highest priority
 * among the files and ranges that it overlaps.
 */
export class Selection {
  readonly #layout: Layout
  readonly #files: Uint8Array
  #ranges: { readonly range: Range; readonly priority: number }[] = []
  /** Number of files with a priority above 0, without pad files. */
  #selectedFiles: number

  /** Creates a selection in which every file has this priority. */
  constructor(layout: Layout, priority: number) {
    this.#layout = layout
    this.#files = new Uint8Array(layout.files.length).fill(priority)
    this.#selectedFiles = priority > 0 ? layout.files.filter(({ pad }) => !pad).length : 0
  }

  /** Whether no file and no byte range is selected. */
  get isEmpty(): boolean {
    return this.#selectedFiles === 0 && this.#ranges.length === 0
  }

  /** The priority of each file of the layout. */
  get files(): readonly number[] {
    return [...this.#files]
  }

  /** The byte ranges that are selected in addition to files. */
  get ranges(): readonly (Range & { readonly priority: number })[] {
    return this.#ranges.map(({ range, priority }) => ({ ...range, priority }))
  }

  /** Returns the priority of a file, 0 for not selected. */
  file(index: number): number {
    return this.#files[index] ?? 0
  }

  setFile(index: number, priority: number): void {
    const before = this.#files[index]
    if (before === undefined) return
    this.#files[index] = priority
    if (this.#layout.files[index]?.pad === false) {
      this.#selectedFiles += Number(priority > 0) - Number(before > 0)
    }
  }

  /** Gives the bytes `[start, end)` of the torrent a priority besides that of their files, or removes it with 0. */
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

  /** Returns the priority of each piece of a range, by default of all. */
  pieces(range: Range = { start: 0, end: this.#layout.pieceCount }): Uint8Array {
    const { start, end } = range
    const pieces = new Uint8Array(Math.max(0, end - start))
    const raise = (touched: Range, priority: number): void => {
      const last = Math.min(touched.end, end)
      for (let piece = Math.max(touched.start, start); piece < last; piece++) {
        if ((pieces[piece - start] ?? 0) < priority) pieces[piece - start] = priority
      }
    }
    const { files } = this.#layout
    const endByte = this.#layout.pieceOffset(end)
    for (let index = this.#layout.fileAt(this.#layout.pieceOffset(start)); index < files.length; index++) {
      const file = files[index]
      if (file === undefined || file.offset >= endByte) break
      const priority = this.#files[index] ?? 0
      if (priority > 0 && !file.pad) raise(this.#layout.filePieces(index), priority)
    }
    for (const { range: wanted, priority } of this.#ranges) raise(this.#layout.piecesOf(wanted), priority)
    return pieces
  }
}
