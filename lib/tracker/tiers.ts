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
 * Which trackers of a torrent are used at the same time. tiers: the first working one of each tier. all: each of them.
 * strict: the first working one of the first tier that has one, to the letter of BEP 12.
 */
export type TierMode = 'tiers' | 'all' | 'strict'

/** How the trackers of a torrent are announced to. */
export interface TierOptions extends AnnouncementOptions {
  /** Default `tiers`. */
  readonly mode?: TierMode | undefined
}

/**
 * Announces to the trackers of a torrent (BEP 12) until closed, and yields the peers that they name. Each tier is shuffled; a
 * tracker that works moves to the front of its tier, and the next one takes over when it fails. URLs that are malformed or
 * of another kind than http, https and udp are left out with one warning, and so are those beyond the first 100 others. Without
 * any tracker left the iteration ends at once. The URLs are taken for those of a torrent, which reach this machine and local networks only
 * where they look like a tracker's; `trust: 'program'` lets them lead anywhere.
 * @throws TorrentError ERR_TRACKER_OPTION when the request or an option is not valid.
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
    const message = `${urls.length} trackers ${why} and left out: ${some.join(', ')}`
    notify(
      onWarning,
      new TorrentError(code, message, { details: { urls: urls.slice(0, limits.trackers).map(redactUrl) } })
    )
  }
  warn('ERR_TRACKER_URL', 'are not supported', unsupported)
  warn('ERR_TRACKER_LIMIT', `are beyond the first ${limits.trackers}`, beyond)
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
