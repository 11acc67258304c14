import { wordsOf } from '../util/bits.ts'

/**
 * Visits the bits that are set in both of two fields of the same length, from byte `from` to the end and then from the start.
 * Stops after the byte in which the `most`-th bit was visited, and returns the number of visited bits. Skips 32 empty bits at a
 * time, because a search finds little in most of a large torrent.
 */
export function commonBits(
  some: Uint8Array,
  others: Uint8Array,
  from: number,
  most: number,
  visit: (bit: number) => void
): number {
  const { length } = some
  const [words, otherWords] = [wordsOf(some), wordsOf(others)]
  let visited = 0
  for (let step = 0, at = from; step < length && visited < most; step++, at = at + 1 < length ? at + 1 : 0) {
    while (
      (at & 3) === 0 &&
      step + 4 < length &&
      ((words[at >> 2] ?? -1) & (otherWords[at >> 2] ?? -1)) === 0
    ) {
      step += 4
      at += 4
    }
    if (at >= length) at = 0
    let both = (some[at] ?? 0) & (others[at] ?? 0)
    for (; both !== 0; visited++) {
      const bit = Math.clz32(both) - 24
      both &= ~(0x80 >> bit)
      visit(at * 8 + bit)
    }
  }
  return visited
}
