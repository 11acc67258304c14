/** Bytes `[start, end)` of a file. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** A request for more ranges gets the whole file; players and resumed downloads need few. */
const mostRanges = 64
/** Ranges with a gap up to this are joined: the header of another part would be longer than the gap. */
const gapBytes = 80

/**
 * Parses a `Range` header for a file (RFC 9110, 14). Returns the ranges in header order; overlapping ones, and ones with a gap of at
 * most 80 bytes, are joined. Returns `'whole'` to ignore the header, because it is malformed, has another unit or too many ranges, or
 * the file is empty. Returns `'unsatisfiable'` when no range is inside the file.
 */
export function parseRanges(
  header: string | undefined,
  length: number
): readonly ByteRange[] | 'whole' | 'unsatisfiable' {
  const set = /^bytes=(.*)$/i.exec(header ?? '')?.[1]
  // Content-Range cannot describe an empty file, and a player that asks for all of it should get a 200.
  if (set === undefined || length === 0) return 'whole'
  const specs = set.split(',').map((spec) => spec.replace(/^[ \t]+|[ \t]+$/g, ''))
  const ranges: ByteRange[] = []
  let count = 0
  for (const spec of specs) {
    if (spec === '') continue
    const match = /^(\d*)-(\d*)$/.exec(spec)
    const [, first = '', last = ''] = match ?? []
    if (match === null || (first === '' && last === '') || ++count > mostRanges) return 'whole'
    if (first === '') {
      if (Number(last) === 0) continue
      ranges.push({ start: Math.max(0, length - Number(last)), end: length })
      continue
    }
    if (last !== '' && Number(last) < Number(first)) return 'whole'
    if (Number(first) >= length) continue
    ranges.push({ start: Number(first), end: last === '' ? length : Math.min(Number(last) + 1, length) })
  }
  if (count === 0) return 'whole'
  return ranges.length === 0 ? 'unsatisfiable' : coalesced(ranges)
}

function coalesced(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const merged: ByteRange[] = []
  for (const range of ranges) {
    let { start, end } = range
    let place = merged.length
    for (let at = merged.length - 1; at >= 0; at--) {
      const other = merged[at]
      if (other === undefined || start > other.end + gapBytes || other.start > end + gapBytes) continue
      start = Math.min(start, other.start)
      end = Math.max(end, other.end)
      merged.splice(at, 1)
      place = at
      // The joined range may now touch a range that it did not touch before.
      at = merged.length
    }
    merged.splice(place, 0, { start, end })
  }
  return merged
}
