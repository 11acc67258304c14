import type { Network } from '../net/network.ts'
import { httpAnnounce, httpScrape } from './http-tracker.ts'
import { limits } from './limits.ts'
import type { AnnounceParameters, ScrapeResult, TrackerReply } from './request.ts'
import type { TrackerOptions } from './tracker-options.ts'
import { type UdpRequestOptions, UdpTrackerClient } from './udp-tracker-client.ts'

/** What one exchange with a tracker needs besides the options that all share. */
export interface ExchangeOptions extends Omit<TrackerOptions, 'network'> {
  readonly network: Network
  readonly signal?: AbortSignal | undefined
  /** Hears, maybe several times, that the tracker may have got the request. */
  readonly onSent?: (() => void) | undefined
  /** Hears of each reply as it comes, before the exchange is over: a second address family may be slower. */
  readonly onReply?: ((reply: TrackerReply) => void) | undefined
  /** Hears that a part of an HTTP answer is of no use; the rest of it is used. */
  readonly onOddReply?: ((warning: Error) => void) | undefined
}

/**
 * One announce to a tracker of any supported kind.
 * @throws TorrentError ERR_TRACKER_FAILURE, ERR_TRACKER_RESPONSE, ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT or
 * ERR_TRACKER_URL; the signal's reason.
 */
export async function exchange(
  url: URL,
  parameters: AnnounceParameters,
  options: ExchangeOptions
): Promise<TrackerReply> {
  if (url.protocol !== 'udp:') {
    const reply = await httpAnnounce(options.network.http, url, parameters, options)
    options.onReply?.(reply)
    return reply
  }
  return withUdp(options, (client) => client.announce(url, parameters, { ...options, ...forUdp(options) }))
}

/** The scrape of up to 74 torrents from a tracker of any supported kind; throws as {@link exchange} does. */
export async function exchangeScrape(
  url: URL,
  infoHashes: readonly Uint8Array[],
  options: ExchangeOptions
): Promise<readonly (ScrapeResult | undefined)[]> {
  if (url.protocol !== 'udp:') return httpScrape(options.network.http, url, infoHashes, options)
  return withUdp(options, (client) =>
    client.scrape(url, infoHashes.slice(0, limits.scrapeHashes), {
      ...options,
      ...forUdp(options)
    })
  )
}

function forUdp({ udpSchedule, trust = 'remote' }: ExchangeOptions): UdpRequestOptions {
  return { schedule: udpSchedule, trust }
}

async function withUdp<T>(
  options: ExchangeOptions,
  run: (client: UdpTrackerClient) => Promise<T>
): Promise<T> {
  const { udp, timers, network } = options
  if (udp !== undefined) return run(udp)
  const client = new UdpTrackerClient({ timers, network })
  try {
    return await run(client)
  } finally {
    await client.close()
  }
}
