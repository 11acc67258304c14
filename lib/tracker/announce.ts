import {
  Announcement,
  type AnnouncementOptions,
  type AnnounceRequest,
  checkAnnouncement
} from './announcement.ts'
import { TrackerState } from './tracker-state.ts'

/**
 * Announces to one tracker (`http:`, `https:` or `udp:`) until it is closed, and yields the peers that it names.
 * `for await (const peer of announce(url, { infoHash, peerId, port })) …` is all that it takes. The URL may lead anywhere: for one that
 * comes from a torrent or magnet link give `trust: 'remote'`.
 * @throws TorrentError ERR_TRACKER_URL when the URL is no supported tracker's; ERR_TRACKER_OPTION when the request or an option is not valid.
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
