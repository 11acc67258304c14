/** Bytes `[start, end)` of a file. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** More ranges than this in one request are answered with the whole file: nobody who plays or resumes needs them. */
const mostRanges = 64
/** Ranges with less than about a part's header between them travel as one. */
const gapBytes = 80

/**
 * What a `Range` header asks of a file (RFC 9110, 14): the ranges in the order of the header, those that touch made one. `'whole'`
 * when it is to be ignored, because it is malformed, of another unit or excessive, or the file is empty; `'unsatisfiable'` when no range lies in the file.
 */
export function parseRanges(
  header: string | undefined,
  length: number
): readonly ByteRange[] | 'whole' | 'unsatisfiable' {
  const set = /^bytes=(.*)$/i.exec(header ?? '')?.[1]
  // No Content-Range can speak of an empty file, and a player that asks for all of it should get that.
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
      // What has grown may now touch one that it did not before.
      at = merged.length
    }
    merged.splice(place, 0, { start, end })
  }
  return merged
}
