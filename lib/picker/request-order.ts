/** Groups of requests that a peer could be sent, first first. */
const stages = ['urgent', 'current', 'partial', 'fresh', 'deferred', 'late'] as const
/** The group of a request. */
export type Stage = (typeof stages)[number]

/** The groups in which a request is looked for that no reader needs and no other peer was sent, first first. */
export const backgroundStages: readonly Stage[] = stages.slice(1, -1)

/** A request that could be sent; of its fields those count that its group is ordered by. */
export interface Candidate {
  readonly stage: Stage
  readonly piece?: number
  /** When the reader gets to the piece. */
  readonly deadline?: number
  /** Place of a partial piece among all, oldest first. */
  readonly age?: number
  /** Selection priority, 1 to 7. */
  readonly priority?: number
  /** Whether the peer suggests the piece (BEP 6). */
  readonly suggested?: boolean
  /** How many peers have the piece. */
  readonly availability?: number
  /** When another peer, which is asked for the block already, will have sent it. */
  readonly eta?: number
}

/**
 * Compares two requests that a peer could be sent; below 0 when the first comes first. The only place that says what comes first:
 *
 * 1. A piece that a reader needs (`urgent`), the one with the earliest deadline;
 * 2. of equal deadlines the earlier piece.
 * 3. More of the piece that the peer was asked for last (`current`).
 * 4. A piece that is begun (`partial`), the oldest.
 * 5. A piece that is not begun (`fresh`), the one with the highest priority;
 * 6. of equal priority one that the peer suggests;
 * 7. then the one that the fewest peers have;
 * 8. and last what no peer has.
 * 9. A piece that is begun, but gives way to one that only seeds have (`deferred`, see {@link isDeferred}), the oldest.
 * 10. A block that another peer is asked for (`late`, the end game), the one that is expected last.
 *
 * Equals come in random order. {@link bucketOf} makes numbers for entries 5, 7 and 8, so that the order of missing pieces compares nothing.
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

/** Entry 10: whether a block that is expected at `a` comes before one that is expected at `b`. The end game compares hundreds for each request. */
export function isLater(a: number, b: number): boolean {
  return a > b
}

function compareRarity(a: number, b: number): number {
  if (a === b) return 0
  if (a === 0 || b === 0) return a === 0 ? 1 : -1
  return a - b
}

/**
 * Whether a partial piece gives way to a missing one that only seeds have: others have it as well, and it is wanted no more. A missing
 * piece must come out once before any other peer can pass it on.
 */
export function isDeferred(leechers: number, priority: number, scarcePriority: number): boolean {
  return leechers > 0 && priority <= scarcePriority
}

/**
 * The bucket of a missing piece in an order of buckets: `width` for each priority that is used, the highest first (`priorityClass` 0). In
 * each of these groups they are in order, but without a seed the pieces of the first bucket, which no peer has, come last.
 */
export function bucketOf(priorityClass: number, leechers: number, width: number): number {
  return priorityClass * width + Math.min(leechers, width - 1)
}
