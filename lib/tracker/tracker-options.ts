import type { HttpOptions } from '../net/http-options.ts'
import type { Network } from '../net/network.ts'
import type { Trust } from '../util/trust.ts'
import type { AnnouncePace } from './announce-pace.ts'
import type { UdpSchedule } from './request.ts'
import type { UdpTrackerClient } from './udp-tracker-client.ts'

/** How trackers are reached. */
export interface TrackerOptions extends HttpOptions {
  /** UDP sockets to use; without it a request opens its own and closes them afterwards. */
  readonly udp?: UdpTrackerClient | undefined
  /** Tries and patience over UDP. */
  readonly udpSchedule?: UdpSchedule | undefined
  /**
   * `'remote'` for URLs that come from a torrent, a magnet link or a tracker: on this machine and in local networks they reach only what
   * has a path that ends with `/announce` or `/scrape`, and no user, password, query or redirect. `'program'` for URLs that may lead
   * anywhere. `announce` and `scrape` take theirs for the program's, `announceTiers` for a torrent's.
   */
  readonly trust?: Trust | undefined
  /** Spreads the announces of many torrents over time; goodbyes do not wait. */
  readonly pace?: AnnouncePace | undefined
  /** @internal The network of a client, which stays open; default is one that is closed afterwards. */
  readonly network?: Network | undefined
}
