import type { HttpClient, HttpGetOptions } from '../net/http-client.ts'
import { serverName } from '../net/url-host.ts'
import { TorrentError } from '../util/errors.ts'
import type { IpScope } from '../util/ip-scope.ts'
import { withoutSecrets } from '../util/redact.ts'
import { findFailure, parseHttpAnnounce, parseHttpScrape } from './http-reply.ts'
import type { AnnounceParameters, ScrapeResult, TrackerReply } from './request.ts'
import { ofTracker } from './tracker-error.ts'
import { mayName, trackerGuard } from './tracker-guard.ts'
import type { TrackerOptions } from './tracker-options.ts'
import { percentEncode, scrapeUrl, withParameters } from './tracker-url.ts'

/** Options of {@link httpScrape}. */
export interface HttpScrapeOptions extends HttpGetOptions, Pick<TrackerOptions, 'trust'> {}

/** Options of {@link httpAnnounce}. */
export interface HttpAnnounceOptions extends HttpScrapeOptions {
  /** Called, before the announce resolves, when a part of the answer is unusable. */
  readonly onOddReply?: ((warning: TorrentError) => void) | undefined
}

/**
 * Makes one announce over HTTP or HTTPS (BEP 3, 7, 23). Leaves out peers that are more local than the
 * tracker.
 * @throws TorrentError ERR_TRACKER_FAILURE, ERR_TRACKER_RESPONSE, ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT or
 * ERR_TRACKER_URL; the signal's reason.
 */
export async function httpAnnounce(
  http: HttpClient,
  url: URL,
  parameters: AnnounceParameters,
  options: HttpAnnounceOptions = {}
): Promise<TrackerReply> {
  return ask(http, url, encodeParameters(parameters), options, (body, scope) => {
    const { warning, ...reply } = parseHttpAnnounce(body, (what) => {
      const message = `only a part of the answer is used: ${what}`
      options.onOddReply?.(ofTracker(url, serverName(url), new TorrentError('ERR_TRACKER_RESPONSE', message)))
    })
    return {
      ...reply,
      warning: warning === undefined ? undefined : withoutSecrets(warning, url),
      peers: reply.peers.filter(({ host }) => mayName(scope, host))
    }
  })
}

/**
 * Scrapes torrents by the scrape URL that belongs to an announce URL (BEP 48).
 * @throws TorrentError as {@link httpAnnounce} does; ERR_TRACKER_URL also if the URL supports no scrape.
 */
export async function httpScrape(
  http: HttpClient,
  url: URL,
  infoHashes: readonly Uint8Array[],
  options: HttpScrapeOptions = {}
): Promise<readonly (ScrapeResult | undefined)[]> {
  const hashes = infoHashes.map((infoHash) => `info_hash=${percentEncode(infoHash)}`).join('&')
  return ask(http, scrapeUrl(url), hashes, options, (body) => parseHttpScrape(body, infoHashes))
}

function encodeParameters(parameters: AnnounceParameters): string {
  const { infoHash, peerId, port, uploaded, downloaded, left, numwant, key, event, trackerId } = parameters
  const list = [
    `info_hash=${percentEncode(infoHash)}`,
    `peer_id=${percentEncode(peerId)}`,
    `port=${port}`,
    `uploaded=${uploaded}`,
    `downloaded=${downloaded}`,
    `left=${left}`,
    'compact=1',
    'no_peer_id=1',
    `numwant=${numwant}`,
    `key=${key.toString(16).toUpperCase().padStart(8, '0')}`
  ]
  if (event !== undefined) list.push(`event=${event}`)
  if (trackerId !== undefined) list.push(`trackerid=${percentEncode(trackerId)}`)
  return list.join('&')
}

/** Sends a request; `url` is the URL without our `parameters`. */
async function ask<T>(
  http: HttpClient,
  url: URL,
  parameters: string,
  options: HttpScrapeOptions,
  parse: (body: Uint8Array, scope: IpScope) => T
): Promise<T> {
  const guard = trackerGuard(url, options.trust)
  const { scope, status, body, cut, location } = await http.get(withParameters(url, parameters), {
    guard,
    ...options
  })
  try {
    if (location !== undefined)
      throw new TorrentError('ERR_TRACKER_RESPONSE', 'it redirects to a URL that is neither http nor https')
    if (status === 200) return parse(body, scope)
    throw (
      findFailure(body) ??
      new TorrentError('ERR_TRACKER_FAILURE', `HTTP status ${status}`, { details: { status } })
    )
  } catch (error) {
    if (!(error instanceof TorrentError)) throw error
    // The rest of the response is missing, so the fault is the connection's.
    if (cut !== undefined && error.code === 'ERR_TRACKER_RESPONSE') throw cut
    throw ofTracker(url, serverName(url), error)
  }
}
