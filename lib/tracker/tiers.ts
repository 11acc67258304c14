import { type ErrorCode, TorrentError } from '../util/errors.ts'
import { redactUrl } from '../util/redact.ts'
import { show } from '../util/show.ts'
import { notify } from '../util/user-code.ts'
import {
  Announcement,
  type AnnouncementOptions,
  type AnnounceRequest,
  checkAnnouncement
} from './announcement.ts'
import { optionError } from './check-options.ts'
import { limits } from './limits.ts'
import { quote } from './quote.ts'
import { TrackerState } from './tracker-state.ts'
import { isSupportedTracker } from './tracker-url.ts'

/**
 * Trackers of a torrent that are used at the same time.
 *
 * - `tiers`: the first working tracker of each tier
 * - `all`: every tracker
 * - `strict`: the first working tracker of the first tier that has one, as BEP 12 specifies
 */
export type TierMode = 'tiers' | 'all' | 'strict'

/** Options of {@link announceTiers}. */
export interface TierOptions extends AnnouncementOptions {
  /** Default `tiers`. */
  readonly mode?: TierMode | undefined
}

/**
 * Announces to the trackers of a torrent (BEP 12) until closed, and yields the peers that they return. Each
 * tier is shuffled; a working tracker moves to the front of its tier, and the next one is used when it fails.
 *
 * Malformed and unsupported URLs (not http, https or udp) are skipped with one warning, and so are trackers
 * after the first 100. If no tracker is left, the iteration ends at once. URLs are treated as those of a
 * torrent: they reach loopback and local networks only if they look like a tracker URL. `trust: 'program'`
 * allows any host.
 * @throws TorrentError ERR_TRACKER_OPTION if the request or an option is invalid.
 */
export function announceTiers(
  tiers: readonly (readonly string[])[],
  request: AnnounceRequest,
  options?: TierOptions
): Announcement
export function announceTiers(
  tiers: readonly (readonly string[])[],
  request: AnnounceRequest,
  options: TierOptions = {},
  ...more: unknown[]
): Announcement {
  const isTier = (tier: unknown): boolean =>
    Array.isArray(tier) && tier.every((url) => typeof url === 'string')
  if (!Array.isArray(tiers) || !tiers.every(isTier))
    throw optionError('tiers', `${show(tiers)} must be a list of lists of URLs`)
  checkAnnouncement(request, options, more, 'mode')
  const { mode = 'tiers', random = Math.random, onWarning } = options
  const unsupported: string[] = []
  const beyond: string[] = []
  let count = 0
  const known = new Set<string>()
  const usable: TrackerState[][] = []
  for (const [tier, urls] of tiers.entries()) {
    const states: TrackerState[] = []
    for (const text of urls) {
      const url = text.trim()
      if (known.has(url)) continue
      known.add(url)
      const state = stateOf(url, tier)
      if (state === undefined) unsupported.push(url)
      else if (count === limits.trackers) beyond.push(url)
      else {
        states.push(state)
        count++
      }
    }
    if (states.length > 0) usable.push(shuffle(states, random))
  }
  const announcement = new Announcement(loopsOf(usable, mode), request, options)
  const warn = (code: ErrorCode, why: string, urls: readonly string[]): void => {
    if (urls.length === 0) return
    const some = urls.slice(0, 3).map((url) => quote(redactUrl(url)).slice(0, 60))
    const count = urls.length === 1 ? '1 tracker is' : `${urls.length} trackers are`
    const message = `${count} ${why} and left out: ${some.join(', ')}`
    notify(
      onWarning,
      new TorrentError(code, message, { details: { urls: urls.slice(0, limits.trackers).map(redactUrl) } })
    )
  }
  warn('ERR_TRACKER_URL', 'not supported', unsupported)
  warn('ERR_TRACKER_LIMIT', `beyond the first ${limits.trackers}`, beyond)
  return announcement
}

function stateOf(url: string, tier: number): TrackerState | undefined {
  if (!isSupportedTracker(url)) return undefined
  try {
    return new TrackerState(url, tier)
  } catch {
    return undefined
  }
}

function loopsOf(tiers: readonly TrackerState[][], mode: TierMode): TrackerState[][][] {
  if (mode === 'strict') return tiers.length === 0 ? [] : [[...tiers]]
  if (mode === 'all') return tiers.flat().map((tracker) => [[tracker]])
  return tiers.map((tier) => [tier])
}

function shuffle<T>(list: readonly T[], random: () => number): T[] {
  const left = [...list]
  const shuffled: T[] = []
  while (left.length > 0) shuffled.push(...left.splice(Math.floor(random() * left.length), 1))
  return shuffled
}
