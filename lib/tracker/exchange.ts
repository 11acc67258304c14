import type { Network } from '../net/network.ts'
import { httpAnnounce, httpScrape } from './http-tracker.ts'
import { limits } from './limits.ts'
import type { AnnounceParameters, ScrapeResult, TrackerReply } from './request.ts'
import type { TrackerOptions } from './tracker-options.ts'
import { type UdpRequestOptions, UdpTrackerClient } from './udp-tracker-client.ts'

export interface ExchangeOptions extends Omit<TrackerOptions, 'network'> {
  readonly network: Network
  readonly signal?: AbortSignal | undefined
  /** Called when the tracker may have received the request; may be called several times. */
  readonly onSent?: (() => void) | undefined
  /** Called with each reply before the exchange ends: a second address family may be slower. */
  readonly onReply?: ((reply: TrackerReply) => void) | undefined
  /** Called when a part of an HTTP answer is unusable; the rest is used. */
  readonly onOddReply?: ((warning: Error) => void) | undefined
}

/**
 * Makes one announce to an HTTP or UDP tracker.
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

/** Scrapes up to 74 torrents from an HTTP or UDP tracker; throws the errors of {@link exchange}. */
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
