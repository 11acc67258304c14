import type { HttpOptions } from '../net/http-options.ts'
import type { Network } from '../net/network.ts'
import type { Trust } from '../util/trust.ts'
import type { AnnouncePace } from './announce-pace.ts'
import type { UdpSchedule } from './request.ts'
import type { UdpTrackerClient } from './udp-tracker-client.ts'

/** Options for requests to trackers. */
export interface TrackerOptions extends HttpOptions {
  /** Client for UDP trackers; by default, each announcement, and each batch of 74 in a scrape, opens its own. */
  readonly udp?: UdpTrackerClient | undefined
  /** Retransmission schedule over UDP. Default: 5 s with 2 retries in `announceTiers`; otherwise that of BEP 15, over two hours in all. */
  readonly udpSchedule?: UdpSchedule | undefined
  /**
   * Origin of the URLs.
   *
   * - `'remote'`: a torrent, magnet link or tracker. On loopback and in local networks such URLs reach only
   *   paths that end with `/announce` or `/scrape`, without user, password, query or redirect.
   * - `'program'`: the URLs may lead to any host.
   *
   * Default `'program'` in `announce` and `scrape`, `'remote'` in `announceTiers`.
   */
  readonly trust?: Trust | undefined
  /** Rate limiter for the announces of many torrents; last announces do not wait for it. */
  readonly pace?: AnnouncePace | undefined
  /** @internal Network of a client, which stays open; default one that is closed afterwards. */
  readonly network?: Network | undefined
}
