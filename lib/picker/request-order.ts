/** Groups of requests, in the order in which they are sent. */
const stages = ['urgent', 'current', 'partial', 'fresh', 'deferred', 'late'] as const
/** The group of a request. */
export type Stage = (typeof stages)[number]

/** The groups that are neither needed by a reader nor already requested from another peer, in order. */
export const backgroundStages: readonly Stage[] = stages.slice(1, -1)

/** A request that could be sent. Only the fields by which its group is ordered matter. */
export interface Candidate {
  readonly stage: Stage
  readonly piece?: number
  /** When the reader needs the piece, in milliseconds on the picker's clock. */
  readonly deadline?: number
  /** Index of a partial piece among all, oldest first. */
  readonly age?: number
  /** Selection priority, 1 to 7. */
  readonly priority?: number
  /** Whether the peer suggests the piece (BEP 6). */
  readonly suggested?: boolean
  /** How many peers have the piece. */
  readonly availability?: number
  /** When another peer is expected to deliver the block that it was already asked for, on the same clock. */
  readonly eta?: number
}

/**
 * Compares two requests that could be sent to a peer; negative if the first comes first. This function defines the order:
 *
 * 1. A piece that a reader needs (`urgent`), earliest deadline first;
 * 2. with equal deadlines, the piece with the lower index.
 * 3. More of the piece that the peer was last asked for (`current`).
 * 4. A partial piece (`partial`), oldest first.
 * 5. A new piece (`fresh`), highest priority first;
 * 6. with equal priority, one that the peer suggests;
 * 7. then the one that the fewest peers have;
 * 8. and last those that no peer has.
 * 9. A partial piece that is deferred in favour of a piece that only seeds have (`deferred`, see {@link isDeferred}), oldest first.
 * 10. A block that is requested from another peer (`late`, the end game), the one that is expected last.
 *
 * Ties are broken at random. {@link bucketOf} turns entries 5 and 7 into numbers, so that the order of missing pieces needs no
 * comparisons; `RarityOrder` adds entry 8.
 */
export function compareRequests(a: Candidate, b: Candidate): number {
  if (a.stage !== b.stage) return stages.indexOf(a.stage) - stages.indexOf(b.stage)
  switch (a.stage) {
    case 'urgent':
      return (a.deadline ?? 0) - (b.deadline ?? 0) || (a.piece ?? 0) - (b.piece ?? 0)
    case 'current':
      return 0
    case 'partial':
    case 'deferred':
      return (a.age ?? 0) - (b.age ?? 0)
    case 'fresh':
      return (
        (b.priority ?? 0) - (a.priority ?? 0) ||
        Number(b.suggested ?? false) - Number(a.suggested ?? false) ||
        compareRarity(a.availability ?? 0, b.availability ?? 0)
      )
    case 'late':
      return Number(isLater(b.eta ?? 0, a.eta ?? 0)) - Number(isLater(a.eta ?? 0, b.eta ?? 0))
  }
}

/**
 * Whether a block that is expected at `a` is requested before one that is expected at `b`, because it is expected later (entry 10).
 * Takes plain numbers, because the end game compares hundreds of blocks per request.
 */
export function isLater(a: number, b: number): boolean {
  return a > b
}

function compareRarity(a: number, b: number): number {
  if (a === b) return 0
  if (a === 0 || b === 0) return a === 0 ? 1 : -1
  return a - b
}

/**
 * Whether a partial piece is deferred in favour of a missing piece that only seeds have: it is held by some leecher and
 * has no higher priority. A seed must upload the missing piece once before any other peer can pass it on.
 */
export function isDeferred(leechers: number, priority: number, scarcePriority: number): boolean {
  return leechers > 0 && priority <= scarcePriority
}

/**
 * Returns the bucket of a missing piece. Each used priority has `width` buckets, highest priority first (`priorityClass` 0).
 * Within a priority, buckets are ordered by `leechers`. While no seed is connected, `RarityOrder` visits the first of them (`leechers` 0)
 * last, because no peer has its pieces.
 */
export function bucketOf(priorityClass: number, leechers: number, width: number): number {
  return priorityClass * width + Math.min(leechers, width - 1)
}
