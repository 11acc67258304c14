import { Network } from '../net/network.ts'
import { show } from '../util/show.ts'
import { checkId, checkTrackerOptions, optionError } from './check-options.ts'
import { exchangeScrape } from './exchange.ts'
import { limits } from './limits.ts'
import type { ScrapeResult } from './request.ts'
import type { TrackerOptions } from './tracker-options.ts'
import { parseTrackerUrl } from './tracker-url.ts'

/** Options of {@link scrape}. */
export interface ScrapeOptions extends TrackerOptions {
  /** Aborts the request. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks a tracker for the counts of torrents (BEP 15, BEP 48), 74 at a time; `url` is the announce URL.
 * Results are in the order of `infoHashes` (20 bytes each). For an unknown torrent, an HTTP tracker yields
 * undefined and a UDP tracker 0. The URL may lead to any host; pass `trust: 'remote'` for one from a torrent
 * or magnet link.
 * @throws TorrentError at once: ERR_TRACKER_URL for an invalid URL; ERR_TRACKER_OPTION for an info hash of
 * the wrong length or another invalid argument. Rejects with ERR_TRACKER_URL if the URL supports no scrape;
 * ERR_TRACKER_FAILURE, ERR_TRACKER_RESPONSE, ERR_TRACKER_NETWORK or ERR_TRACKER_TIMEOUT; the signal's reason.
 */
export function scrape(
  url: string,
  infoHashes: readonly Uint8Array[],
  options: ScrapeOptions = {}
): Promise<(ScrapeResult | undefined)[]> {
  const tracker = parseTrackerUrl(url)
  checkTrackerOptions(options, ['signal'])
  if (!Array.isArray(infoHashes)) throw optionError('infoHashes', `${show(infoHashes)} must be a list`)
  for (const infoHash of infoHashes) checkId('infoHashes', infoHash)
  return scrapeAll(tracker, infoHashes, { ...options, trust: options.trust ?? 'program' })
}

async function scrapeAll(
  url: URL,
  infoHashes: readonly Uint8Array[],
  options: ScrapeOptions
): Promise<(ScrapeResult | undefined)[]> {
  const network = options.network ?? new Network({ lookup: options.lookup })
  const results: (ScrapeResult | undefined)[] = []
  try {
    for (let at = 0; at < infoHashes.length; at += limits.scrapeHashes) {
      const some = infoHashes.slice(at, at + limits.scrapeHashes)
      results.push(...(await exchangeScrape(url, some, { ...options, network })))
    }
  } finally {
    if (options.network === undefined) await network.close()
  }
  return results
}
