import type { Steps } from '../util/slices.ts'

/** Items that are sorted at once. */
const runLength = 64
/** Items that are merged before yielding to the event loop. */
const mergeLength = 256

/**
 * Sorts stably, in steps of less than a millisecond: `Array.sort` blocks the event loop for seconds with many items. Reorders `items` on the
 * way; only the returned array is sorted, which may be another one.
 */
export function* sortedSteps<T>(items: T[], compare: (a: T, b: T) => number): Steps<T[]> {
  for (let start = 0; start < items.length; start += runLength) {
    const run = items.slice(start, start + runLength).sort(compare)
    for (let n = 0; n < run.length; n++) items[start + n] = run[n] as T
    yield
  }
  let from = items
  let to = items.slice()
  for (let width = runLength; width < items.length; width *= 2) {
    for (let start = 0; start < items.length; start += 2 * width) {
      const middle = Math.min(items.length, start + width)
      const end = Math.min(items.length, start + 2 * width)
      let left = start
      let right = middle
      for (let at = start; at < end; at++) {
        const isLeft = left < middle && (right >= end || compare(from[left] as T, from[right] as T) <= 0)
        to[at] = from[isLeft ? left++ : right++] as T
        if (at % mergeLength === 0) yield
      }
    }
    ;[from, to] = [to, from]
  }
  return from
}
