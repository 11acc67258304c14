import { TorrentError } from '../util/errors.ts'
import type { IpScope } from '../util/ip-scope.ts'
import { mayName } from './host-guard.ts'
import { type HttpGetOptions, httpGet } from './http-get.ts'
import { findFailure, parseHttpAnnounce, parseHttpScrape } from './http-reply.ts'
import type { AnnounceParameters, ScrapeResult, TrackerReply } from './request.ts'
import { percentEncode, scrapeUrl, trackerName, withParameters } from './tracker-url.ts'

/**
 * One announce over HTTP or HTTPS (BEP 3, 7, 23); peers that a server there may not name are left out.
 * @throws TorrentError ERR_TRACKER_FAILURE, ERR_TRACKER_RESPONSE, ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT or
 * ERR_TRACKER_URL; the signal's reason.
 */
export async function httpAnnounce(
  url: URL,
  parameters: AnnounceParameters,
  options: HttpGetOptions = {}
): Promise<TrackerReply> {
  return ask(url, withParameters(url, encodeParameters(parameters)), options, (body, scope) => {
    const reply = parseHttpAnnounce(body)
    return { ...reply, peers: reply.peers.filter(({ host }) => mayName(scope, host)) }
  })
}

/**
 * The counts of torrents from the scrape URL that belongs to an announce URL (BEP 48).
 * @throws TorrentError as {@link httpAnnounce} does; ERR_TRACKER_URL too when the URL has no scrape.
 */
export async function httpScrape(
  url: URL,
  infoHashes: readonly Uint8Array[],
  options: HttpGetOptions = {}
): Promise<readonly (ScrapeResult | undefined)[]> {
  const hashes = infoHashes.map((infoHash) => `info_hash=${percentEncode(infoHash)}`).join('&')
  return ask(url, withParameters(scrapeUrl(url), hashes), options, (body) =>
    parseHttpScrape(body, infoHashes)
  )
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

async function ask<T>(
  url: URL,
  full: URL,
  options: HttpGetOptions,
  parse: (body: Uint8Array, scope: IpScope) => T
): Promise<T> {
  const { scope, status, body } = await httpGet(full, options)
  try {
    if (status === 200) return parse(body, scope)
    throw (
      findFailure(body) ??
      new TorrentError('ERR_TRACKER_FAILURE', `HTTP status ${status}`, { details: { status } })
    )
  } catch (error) {
    if (!(error instanceof TorrentError)) throw error
    throw new TorrentError(error.code, `${trackerName(url)}: ${error.message}`, {
      cause: error.cause,
      details: { ...error.details, url: url.href }
    })
  }
}
