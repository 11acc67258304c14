/** The state of a torrent that the queue rules depend on. */
export interface QueueEntry {
  /** The kind of limit it counts against; undefined if none: paused, finished, failed, idle, or without metadata. */
  readonly kind: 'download' | 'seed' | undefined
  /** Whether it runs now. */
  readonly running: boolean
  /** Milliseconds since it last moved payload, or since it began to run if that is later; 0 if it is queued. */
  readonly idleMs: number
  /** When it was last stopped because it was idle, from 0 in any unit; undefined if that never happened or it has moved payload since. */
  readonly stoppedIdleAt: number | undefined
  /** Whether it has open streams; it then runs regardless of limits. */
  readonly wanted: boolean
}

/** Number of torrents that may run; `Infinity` is no limit. */
export interface QueueLimits {
  readonly maxActiveDownloads: number
  readonly maxActiveSeeds: number
}

/** Milliseconds without payload after which a torrent does not count. More for seeds: requests are rarer, and stopping costs an announce. */
const idleAfterMs = { download: 60_000, seed: 1_800_000 }

/**
 * Returns which torrents run, by index in queue order: the first ones, up to the limit of their kind, and all without a kind. A torrent
 * without progress keeps running but does not count against the limit. If torrents wait and more than `max(4, 2 * limit)` are idle, those
 * that have been idle for longest stop, and later queue behind torrents that have not run yet. Pure.
 */
export function planQueue(entries: readonly QueueEntry[], limits: QueueLimits): boolean[] {
  const runs = entries.map(({ kind }) => kind === undefined)
  planKind(entries, 'download', limits.maxActiveDownloads, runs)
  planKind(entries, 'seed', limits.maxActiveSeeds, runs)
  return runs
}

/** Returns whether a torrent with nothing selected counts as a seed, given the milliseconds since a peer was last interested. */
export function countsAsSeed(sinceServedMs: number): boolean {
  return sinceServedMs < idleAfterMs.seed
}

/** Returns whether a torrent runs but has not moved payload for so long that it does not count against the limit. */
export function isIdle(entry: QueueEntry | undefined): boolean {
  return entry?.kind !== undefined && entry.running && entry.idleMs >= idleAfterMs[entry.kind]
}

function planKind(
  entries: readonly QueueEntry[],
  kind: 'download' | 'seed',
  limit: number,
  runs: boolean[]
): void {
  const indices = entries.map((_, index) => index).filter((index) => entries[index]?.kind === kind)
  const idle = indices.filter((index) => limit > 0 && isIdle(entries[index]))
  const busy = indices.filter((index) => !idle.includes(index))
  // Torrents with streams come first. Torrents that were stopped as idle come last, the longest stopped first. The sort is stable, so
  // the others keep their queue order.
  const orderKey = (index: number): number => {
    const entry = entries[index]
    if (entry === undefined || entry.wanted) return Number.NEGATIVE_INFINITY
    return entry.running ? -1 : (entry.stoppedIdleAt ?? -1)
  }
  busy.sort((a, b) => (orderKey(a) === orderKey(b) ? 0 : orderKey(a) - orderKey(b)))
  let left = limit
  for (const index of busy) {
    if (entries[index]?.wanted !== true && left <= 0) continue
    runs[index] = true
    left--
  }
  idle.sort((a, b) => (entries[a]?.idleMs ?? 0) - (entries[b]?.idleMs ?? 0))
  const waiting = busy.some((index) => runs[index] !== true)
  for (const [rank, index] of idle.entries()) {
    runs[index] = entries[index]?.wanted === true || !waiting || rank < Math.max(4, 2 * limit)
  }
}
