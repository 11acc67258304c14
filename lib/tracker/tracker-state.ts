import type { TrackerReply } from './request.ts'
import { parseTrackerUrl } from './tracker-url.ts'

/**
 * idle: not asked yet, or not its turn. announcing: a request is under way. working: the last one succeeded. failed: the last
 * one did not. stopped: the announcement is closed.
 *
 * idle, working, failed → announcing → working | failed | idle; any → stopped
 */
export type TrackerPhase = 'idle' | 'announcing' | 'working' | 'failed' | 'stopped'

/** How one tracker fares; a live view. */
export interface TrackerStatus {
  readonly url: string
  /** Index of its tier (BEP 12). */
  readonly tier: number
  readonly status: TrackerPhase
  /** Its last good reply. */
  readonly last: TrackerReply | undefined
  /** Why its last announce failed; undefined again after a good one. */
  readonly error: Error | undefined
  /** When it is asked next, in milliseconds since 1970; undefined while that is not planned. */
  readonly nextAnnounceAt: number | undefined
}

/** What an announce loop knows of a tracker; the loop alone changes it. */
export class TrackerState implements TrackerStatus {
  readonly url: string
  readonly tier: number
  status: TrackerPhase = 'idle'
  last: TrackerReply | undefined
  error: Error | undefined
  nextAnnounceAt: number | undefined
  /** Whether the tracker took a `started` and so is owed a `stopped`. */
  accepted = false
  /** Not asked before this, in milliseconds on the loop's clock: it refused, and told when to come back. */
  notBefore = 0
  /** Whether the owner was told that only a part of its answers is of use. */
  warnedOfOdd = false

  /**
   * A tracker that was not asked yet.
   * @throws TorrentError ERR_TRACKER_URL when the URL is no supported tracker's.
   */
  constructor(url: string, tier: number) {
    parseTrackerUrl(url)
    this.url = url
    this.tier = tier
  }

  /** `url`, parsed: anew for each announce, since those are rare and a parsed URL is large. */
  get location(): URL {
    return parseTrackerUrl(this.url)
  }
}
