import { type Entry, isGivenUp, sourceOf, wasUseful } from './book-entry.ts'
import type { PeerSource } from './peer-source.ts'

/**
 * How a connection ended.
 *
 * - `useful`: the peer sent us data; retried soon
 * - `uninteresting`: neither side needs the other, or the peer is connected twice; retried after a long wait
 *   or `revive`
 * - `useless`: no data was exchanged; counts as one failure
 * - `fault`: the peer broke the protocol; counts as two failures
 */
export type Outcome = 'useful' | 'uninteresting' | 'useless' | 'fault'

/** Wait in milliseconds after one, two, … consecutive failures. */
export const backOffMs: readonly number[] = [10_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000]
/** Shorter waits for a peer that the user or a magnet link named: it is expected to exist, and may still be starting. */
export const manualBackOffMs: readonly number[] = [1000, 2000, 5000, ...backOffMs]
const retriedSooner: ReadonlySet<PeerSource> = new Set(['manual', 'magnet'])
/** Wait in milliseconds before a peer that sent us data is dialled again. */
const usefulWaitMs = 5000
const uninterestingWaitMs = 600_000
/** Wait in milliseconds before an address is dialled that the proxy did not connect to. */
export const postponedMs = 5000
/** Wait in milliseconds before an LSD announce makes a peer ready again. */
const announcedWaitMs = 5000
/** Consecutive failures after which a peer that never sent us data is given up. */
const mostFailures = 6
/**
 * Wait in milliseconds before a peer that was given up can be named again: an unreachable peer may keep
 * announcing itself.
 */
const givenUpMs = 3_600_000
/** Sources that never name an address a second time by themselves; their peers are not given up. */
const neverGivenUp: ReadonlySet<PeerSource> = new Set(['manual', 'magnet', 'resume'])

/** Makes a waiting entry ready because a source named it again. Returns false if it must keep waiting. */
export function nameAgain(entry: Entry, source: PeerSource, now: number): boolean {
  const waitedMs = now - entry.triedAt
  if (source === 'manual') entry.failures = 0
  // A peer that announces itself by LSD is running and probably accepts connections.
  else if (source === 'lsd' ? waitedMs < announcedWaitMs : !isGivenUp(entry) || waitedMs < givenUpMs)
    return false
  entry.readyAt = now
  return true
}

/** Counts failures and schedules the next dial; returns whether the entry is given up. */
export function backOff(entry: Entry, failures: number, now: number): boolean {
  entry.failures += failures
  const waits = retriedSooner.has(sourceOf(entry)) ? manualBackOffMs : backOffMs
  entry.readyAt = now + (waits[Math.min(entry.failures, waits.length) - 1] ?? 0)
  if (entry.failures < mostFailures || wasUseful(entry) || neverGivenUp.has(sourceOf(entry))) return false
  // The entry stays in the book; otherwise the next source would add it as new.
  entry.readyAt = Number.POSITIVE_INFINITY
  return true
}

/** Schedules the next dial after a connection ended; returns whether the entry is given up. */
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
