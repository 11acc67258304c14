/** So many additions are remembered; a power of two. */
const mostRecent = 64

/** Counts pieces that were put into the order of missing pieces, and remembers the latest, so that a search need not be repeated for them. */
export class Additions {
  /** How many there were: unchanged, a search that found nothing would find nothing again. */
  count = 0
  readonly #recent = new Int32Array(mostRecent)

  /** A piece was put in. */
  add(piece: number): void {
    this.#recent[this.count++ & (mostRecent - 1)] = piece
  }

  /** The pieces that were put in since there were `count`; undefined when they are not remembered any more. */
  since(count: number): number[] | undefined {
    if (count < 0 || this.count - count > mostRecent) return undefined
    const pieces: number[] = []
    for (let n = count; n < this.count; n++) pieces.push(this.#recent[n & (mostRecent - 1)] ?? -1)
    return pieces
  }
}
