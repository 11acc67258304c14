import type { PartialPiece } from '../pieces/partial-piece.ts'

/** Partial pieces that may have free blocks, oldest first. */
export class OpenPieces {
  /** Number of pieces that searches have looked at. */
  steps = 0
  readonly #pieces: PartialPiece[] = []

  /** Appends a piece unless it is listed. */
  add(partial: PartialPiece): void {
    if (partial.listed) return
    partial.listed = true
    this.#pieces.push(partial)
  }

  /** Removes a piece. */
  delete(partial: PartialPiece): void {
    if (partial.listed) this.#pieces.splice(this.#pieces.indexOf(partial), 1)
    partial.listed = false
  }

  /** Returns the oldest piece with a free block for which `suits` returns true. */
  find(suits: (partial: PartialPiece) => boolean): PartialPiece | undefined {
    const pieces = this.#pieces
    let found: PartialPiece | undefined
    let kept = 0
    let at = 0
    while (found === undefined && at < pieces.length) {
      const partial = pieces[at++]
      if (partial === undefined) break
      // A piece without free blocks is met once and leaves the list.
      if (partial.free === 0) partial.listed = false
      else {
        pieces[kept++] = partial
        if (suits(partial)) found = partial
      }
    }
    this.steps += at
    if (kept < at) {
      pieces.copyWithin(kept, at)
      pieces.length -= at - kept
    }
    return found
  }
}
