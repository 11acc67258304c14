import type { TrackerReply } from './request.ts'
import { parseTrackerUrl } from './tracker-url.ts'

/**
 * State of a tracker.
 *
 * - idle: not tried yet
 * - announcing: a request is in progress
 * - working: the last announce succeeded
 * - failed: the last announce failed
 * - stopped: the announcement is closed
 *
 * idle, working, failed → announcing → working | failed; any → stopped
 */
export type TrackerPhase = 'idle' | 'announcing' | 'working' | 'failed' | 'stopped'

/** Live status of one tracker. */
export interface TrackerStatus {
  /** Announce URL. */
  readonly url: string
  /** Index of its tier (BEP 12). */
  readonly tier: number
  /** State of its announces. */
  readonly status: TrackerPhase
  /** Latest successful reply. */
  readonly last: TrackerReply | undefined
  /** Error of the last announce; undefined after a successful one. */
  readonly error: Error | undefined
  /** Time of the next announce, in milliseconds since 1970; undefined if none is planned. */
  readonly nextAnnounceAt: number | undefined
}

/** State of a tracker. Only its announce loop and its announcement change it. */
export class TrackerState implements TrackerStatus {
  readonly url: string
  readonly tier: number
  status: TrackerPhase = 'idle'
  last: TrackerReply | undefined
  error: Error | undefined
  nextAnnounceAt: number | undefined
  /** Whether the tracker accepted a `started`, so that `stopped` must be sent. */
  accepted = false
  /**
   * Time before which it is not asked again, on the loop's clock in milliseconds; set when it refused and
   * gave a retry time.
   */
  notBefore = 0
  /** Whether the owner was warned that only a part of its answers is usable. */
  warnedOfOdd = false

  /**
   * Creates the state of a tracker that was not tried yet.
   * @throws TorrentError ERR_TRACKER_URL if the URL is malformed or unsupported.
   */
  constructor(url: string, tier: number) {
    parseTrackerUrl(url)
    this.url = url
    this.tier = tier
  }

  /** Returns the parsed `url`. Parsed each time, because announces are rare and a `URL` object is large. */
  get location(): URL {
    return parseTrackerUrl(this.url)
  }
}
