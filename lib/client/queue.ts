/** What the queue rules look at in a torrent. */
export interface QueueEntry {
  /** Its activity while it runs; undefined while the queue's rules do not apply: paused, finished, failed, idle, or without metadata. */
  readonly kind: 'download' | 'seed' | undefined
  /** Whether it runs now. */
  readonly running: boolean
  /** Milliseconds since it last moved payload, or since it runs if that is less; 0 for one that waits. */
  readonly idleMs: number
  /** When its last run was ended because it was idle, from 0 on in any unit; undefined for one that has not had its turn. */
  readonly triedAt: number | undefined
  /** Somebody reads it: it runs in any case. */
  readonly wanted: boolean
}

/** How many torrents may run; `Infinity` is no limit. */
export interface QueueLimits {
  readonly maxActiveDownloads: number
  readonly maxActiveSeeds: number
}

/** After so long without payload a torrent does not count any more; seeds are asked less often, and say goodbye to trackers. */
const idleAfterMs = { download: 60_000, seed: 1_800_000 }

/**
 * Which torrents run, by their index in the order of the queue: the first ones, up to the limit of their kind. One that moves
 * nothing for a while goes on but takes no place from others; when many do so, the one that has been idle for longest goes
 * behind those that have not had their turn, so that none blocks the queue for ever. Pure.
 */
export function planQueue(entries: readonly QueueEntry[], limits: QueueLimits): boolean[] {
  const runs = entries.map(({ kind }) => kind === undefined)
  planKind(entries, 'download', limits.maxActiveDownloads, runs)
  planKind(entries, 'seed', limits.maxActiveSeeds, runs)
  return runs
}

/** Whether a torrent with nothing selected counts as a seed, given the milliseconds since a peer last wanted something of it. */
export function countsAsSeed(sinceServedMs: number): boolean {
  return sinceServedMs < idleAfterMs.seed
}

/** Whether a torrent runs but has moved nothing for so long that it takes no place. */
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
  // Who is read comes first, those that had a turn last, the one that waits for longest before the others; sorting is stable, so
  // the rest keeps its order.
  const turn = (index: number): number => {
    const entry = entries[index]
    if (entry === undefined || entry.wanted) return Number.NEGATIVE_INFINITY
    return entry.running ? -1 : (entry.triedAt ?? -1)
  }
  busy.sort((a, b) => (turn(a) === turn(b) ? 0 : turn(a) - turn(b)))
  let places = limit
  for (const index of busy) {
    if (entries[index]?.wanted !== true && places <= 0) continue
    runs[index] = true
    places--
  }
  idle.sort((a, b) => (entries[a]?.idleMs ?? 0) - (entries[b]?.idleMs ?? 0))
  const waiting = busy.some((index) => runs[index] !== true)
  for (const [rank, index] of idle.entries()) {
    runs[index] = entries[index]?.wanted === true || !waiting || rank < Math.max(4, 2 * limit)
  }
}
