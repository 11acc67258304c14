import {
  Announcement,
  type AnnouncementOptions,
  type AnnounceRequest,
  checkAnnouncement
} from './announcement.ts'
import { TrackerState } from './tracker-state.ts'

/**
 * Announces to one tracker (`http:`, `https:` or `udp:`) until closed, and yields the peers that it returns.
 * Usage: `for await (const peer of announce(url, { infoHash, peerId, port })) …`. The URL may lead to any
 * host; pass `trust: 'remote'` for one from a torrent or magnet link.
 * @throws TorrentError ERR_TRACKER_URL if the URL is malformed or unsupported; ERR_TRACKER_OPTION if the
 * request or an option is invalid.
 */
export function announce(url: string, request: AnnounceRequest, options?: AnnouncementOptions): Announcement
export function announce(
  url: string,
  request: AnnounceRequest,
  options: AnnouncementOptions = {},
  ...more: unknown[]
): Announcement {
  checkAnnouncement(request, options, more)
  return new Announcement([[[new TrackerState(url, 0)]]], request, {
    ...options,
    trust: options.trust ?? 'program'
  })
}
