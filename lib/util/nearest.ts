/** Returns the known word that is most similar to `text`, or undefined if none is similar enough. */
export function nearest(text: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.min(3, Math.floor(text.length / 3) + 1)
  for (const candidate of known) {
    const distance = editDistance(text.slice(0, 40), candidate)
    if (distance >= least) continue
    least = distance
    best = candidate
  }
  return best
}

/** Returns the edit distance: insertions, deletions, replacements, and swaps of two adjacent letters. */
function editDistance(from: string, to: string): number {
  let before: number[] = []
  let row = Array.from({ length: to.length + 1 }, (_, n) => n)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1] ? 0 : 1
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same)
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (swapped) cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      next.push(cost)
    }
    before = row
    row = next
  }
  return row[to.length] ?? 0
}
