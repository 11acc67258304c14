/**
 * Returns the numbers below `count` in random order, in groups of `together` adjacent numbers. Within a group the numbers
 * descend. `random` returns [0, 1).
 */
export function shuffledGroups(count: number, together: number, random: () => number): Uint32Array {
  const shuffled = new Uint32Array(count)
  const groups = new Uint32Array(Math.ceil(count / together))
  for (let group = 0; group < groups.length; group++) {
    const other = Math.floor(random() * (group + 1))
    groups[group] = groups[other] ?? 0
    groups[other] = group
  }
  let at = 0
  for (const group of groups) {
    const start = group * together
    for (let number = Math.min(count, start + together) - 1; number >= start; number--)
      shuffled[at++] = number
  }
  return shuffled
}
