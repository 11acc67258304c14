/** Number of remembered additions; a power of two. */
const mostRecent = 64

/** Counts additions to the order of missing pieces and remembers the latest: after a failed search, only those need a look. */
export class Additions {
  /** Number of additions so far. While it is unchanged, a search that found nothing would find nothing again. */
  count = 0
  readonly #recent = new Int32Array(mostRecent)

  /** Records that a piece was added. */
  add(piece: number): void {
    this.#recent[this.count++ & (mostRecent - 1)] = piece
  }

  /** Returns the pieces added since the count was `count`, or undefined if they are no longer remembered. */
  since(count: number): number[] | undefined {
    if (count < 0 || this.count - count > mostRecent) return undefined
    const pieces: number[] = []
    for (let n = count; n < this.count; n++) pieces.push(this.#recent[n & (mostRecent - 1)] ?? -1)
    return pieces
  }
}
