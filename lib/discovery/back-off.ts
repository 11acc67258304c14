import { type Entry, isGivenUp, sourceOf, wasUseful } from './book-entry.ts'
import type { PeerSource } from './peer-source.ts'

/**
 * How a connection ended.
 *
 * - `useful`: it gave us data; soon tried again
 * - `uninteresting`: neither side needs the other, or it is connected twice; tried again after a long wait, or
 *   `revive`
 * - `useless`: nothing came of it; counts as a failure
 * - `fault`: it broke the protocol; counts as two failures
 */
export type Outcome = 'useful' | 'uninteresting' | 'useless' | 'fault'

/** Milliseconds to wait after one, two, … failures in a row. */
export const backOffMs: readonly number[] = [10_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000]
/** The same for a peer that the user or a magnet link named: it is expected to be there, and may only be starting. */
export const manualBackOffMs: readonly number[] = [1000, 2000, 5000, ...backOffMs]
const namedBy: ReadonlySet<PeerSource> = new Set(['manual', 'magnet'])
/** Milliseconds to wait for a peer that gave us data. */
const usefulWaitMs = 5000
const uninterestingWaitMs = 600_000
/** Milliseconds to wait for a peer of the local network that announces itself again. */
const announcedWaitMs = 5000
/** After so many failures in a row a peer that never gave us data is given up: not tried any more unless it is named again. */
const mostFailures = 6
/** Milliseconds before it is tried even then: an unreachable peer may go on announcing itself. */
const givenUpMs = 3_600_000
/** Sources that nothing may name again; their peers are not given up. */
const neverGivenUp: ReadonlySet<PeerSource> = new Set(['manual', 'magnet', 'resume'])

/** Makes an idle entry that waits ready when a source names it again; returns false where it goes on waiting. */
export function nameAgain(entry: Entry, source: PeerSource, now: number): boolean {
  const waitedMs = now - entry.triedAt
  if (source === 'manual') entry.failures = 0
  // Peers announce themselves by LSD, so this one is there and accepts connections.
  else if (source === 'lsd' ? waitedMs < announcedWaitMs : !isGivenUp(entry) || waitedMs < givenUpMs)
    return false
  entry.readyAt = now
  return true
}

/** Counts failures of an entry and sets when it is tried again; returns whether it is given up. */
export function backOff(entry: Entry, failures: number, now: number): boolean {
  entry.failures += failures
  const waits = namedBy.has(sourceOf(entry)) ? manualBackOffMs : backOffMs
  entry.readyAt = now + (waits[Math.min(entry.failures, waits.length) - 1] ?? 0)
  if (entry.failures < mostFailures || wasUseful(entry) || neverGivenUp.has(sourceOf(entry))) return false
  // It stays in the book, or it would be a new one for the next source that names it.
  entry.readyAt = Number.POSITIVE_INFINITY
  return true
}

/** Sets when an entry is tried again whose connection ended; returns whether it is given up. */
export function waitAfter(entry: Entry, outcome: Outcome, now: number): boolean {
  entry.triedAt = now
  if (outcome === 'useful') {
    entry.failures = 0
    entry.usefulAt = now
    entry.readyAt = now + usefulWaitMs
    return false
  }
  if (outcome !== 'uninteresting') return backOff(entry, outcome === 'fault' ? 2 : 1, now)
  entry.uninteresting = true
  entry.readyAt = now + uninterestingWaitMs
  return false
}
