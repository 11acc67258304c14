import type { PartialPiece } from '../pieces/partial-piece.ts'

/** Partial pieces that may have free blocks, oldest first. */
export class OpenPieces {
  /** How many pieces searches have looked at. */
  steps = 0
  readonly #pieces: PartialPiece[] = []

  /** Puts a piece at the end, if it is not in the list. */
  add(partial: PartialPiece): void {
    if (partial.listed) return
    partial.listed = true
    this.#pieces.push(partial)
  }

  /** Takes a piece out. */
  delete(partial: PartialPiece): void {
    if (partial.listed) this.#pieces.splice(this.#pieces.indexOf(partial), 1)
    partial.listed = false
  }

  /** The oldest piece with a free block for which `suits` says yes. */
  find(suits: (partial: PartialPiece) => boolean): PartialPiece | undefined {
    const pieces = this.#pieces
    let found: PartialPiece | undefined
    let kept = 0
    let at = 0
    while (found === undefined && at < pieces.length) {
      const partial = pieces[at++]
      if (partial === undefined) break
      // Each full one is met once and leaves the list.
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
