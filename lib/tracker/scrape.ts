import { Network } from '../net/network.ts'
import { show } from '../util/show.ts'
import { checkId, checkTrackerOptions, optionError } from './check-options.ts'
import { exchangeScrape } from './exchange.ts'
import { limits } from './limits.ts'
import type { ScrapeResult } from './request.ts'
import type { TrackerOptions } from './tracker-options.ts'
import { parseTrackerUrl } from './tracker-url.ts'

/** What {@link scrape} may be told. */
export interface ScrapeOptions extends TrackerOptions {
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks a tracker for the counts of torrents (BEP 15, BEP 48), 74 at a time; `url` is the announce URL. The results are in the
 * order of `infoHashes` (20 bytes each), and undefined for those that an HTTP tracker does not know; a UDP tracker tells 0. The URL may
 * lead anywhere: for one that comes from a torrent or magnet link give `trust: 'remote'`.
 * @throws TorrentError ERR_TRACKER_URL at once for a bad URL, or one whose path has no scrape (rejected); ERR_TRACKER_FAILURE,
 * ERR_TRACKER_RESPONSE, ERR_TRACKER_NETWORK or ERR_TRACKER_TIMEOUT; ERR_TRACKER_OPTION at once for an info hash of another length, and other mistakes;
 * the signal's reason.
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
