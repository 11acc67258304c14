/**
 * Returns whether a path matches a pattern: `*` matches anything but `/`, `**` anything, and `?` one character. Ignores case. A
 * pattern without `/` is compared with the last element of the path.
 */
export function matchesGlob(path: string, pattern: string): boolean {
  const subject = pattern.includes('/') ? path : path.slice(path.lastIndexOf('/') + 1)
  return matches([...subject.toLowerCase()], tokensOf(pattern.toLowerCase()))
}

type Token = { readonly kind: 'any' | 'all' | 'one' } | { readonly kind: 'text'; readonly text: string }

function tokensOf(pattern: string): Token[] {
  // `**/` also matches an empty path.
  const parts = pattern.match(/\*\*\/?|\*|\?|./gsu) ?? []
  return parts.map((text): Token => {
    if (text.startsWith('**')) return { kind: 'all' }
    if (text === '*') return { kind: 'any' }
    return text === '?' ? { kind: 'one' } : { kind: 'text', text }
  })
}

/** Tracks all positions in the pattern that are reachable, so the time is at most the product of both lengths. */
function matches(subject: readonly string[], tokens: readonly Token[]): boolean {
  let positions = closure(new Set([0]), tokens)
  for (const character of subject) {
    const next = new Set<number>()
    for (const position of positions) {
      const token = tokens[position]
      if (token === undefined) continue
      if (token.kind === 'all' || (token.kind === 'any' && character !== '/')) next.add(position)
      else if (token.kind === 'one' ? character !== '/' : token.kind === 'text' && token.text === character) {
        next.add(position + 1)
      }
    }
    positions = closure(next, tokens)
  }
  return positions.has(tokens.length)
}

/** Adds the positions that are reachable without another character, because `*` and `**` match nothing too. */
function closure(positions: Set<number>, tokens: readonly Token[]): Set<number> {
  // Iterating over a Set includes values that are added meanwhile.
  for (const position of positions) {
    const kind = tokens[position]?.kind
    if (kind === 'all' || kind === 'any') positions.add(position + 1)
  }
  return positions
}
