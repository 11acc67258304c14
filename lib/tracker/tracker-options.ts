import type { Agent } from 'node:http'
import type { Network } from '../net/network.ts'
import type { HostLookup } from '../net/resolve-host.ts'
import type { Timers } from '../util/timers.ts'
import type { Trust } from '../util/trust.ts'
import type { AnnouncePace } from './announce-pace.ts'
import type { UdpSchedule } from './request.ts'
import type { UdpTrackerClient } from './udp-tracker-client.ts'

/** How trackers are reached. */
export interface TrackerOptions {
  /** UDP sockets to use; without it a request opens its own and closes them afterwards. */
  readonly udp?: UdpTrackerClient | undefined
  /** Tries and patience over UDP. */
  readonly udpSchedule?: UdpSchedule | undefined
  /** Longest time of an HTTP request, redirects included; default 30,000. */
  readonly timeoutMs?: number | undefined
  /** Longest silence of an HTTP server; default 15,000. */
  readonly idleTimeoutMs?: number | undefined
  /** The only address family to use; default is what the host has. */
  readonly family?: 4 | 6 | undefined
  /** The local address that HTTP connections leave from. */
  readonly localAddress?: string | undefined
  /** Trusted certificates (PEM) instead of the built-in ones. */
  readonly ca?: string | readonly string[] | undefined
  /** The agent of HTTP connections, such as a proxy's; default is a connection of its own for each request. */
  readonly agent?: ((url: URL) => Agent) | undefined
  /**
   * `'remote'` for URLs that come from a torrent, a magnet link or a tracker: on this machine and in local networks they reach only what
   * has a path that ends with `/announce` or `/scrape`, and no user, password, query or redirect. `'program'` for URLs that may lead
   * anywhere. `announce` and `scrape` take theirs for the program's, `announceTiers` for a torrent's.
   */
  readonly trust?: Trust | undefined
  /** Resolves host names; default is the operating system's resolver. */
  readonly lookup?: HostLookup | undefined
  /** Spreads the announces of many torrents over time; goodbyes do not wait. */
  readonly pace?: AnnouncePace | undefined
  /** Time itself, for tests. */
  readonly timers?: Timers | undefined
  /** @internal The network of a client, which stays open; default is one that is closed afterwards. */
  readonly network?: Network | undefined
}
