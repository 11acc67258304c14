import { TorrentError } from '../util/errors.ts'
import type { IpScope } from '../util/ip-scope.ts'
import { mayName } from './host-guard.ts'
import { type HttpGetOptions, httpGet } from './http-get.ts'
import { findFailure, parseHttpAnnounce, parseHttpScrape } from './http-reply.ts'
import type { AnnounceParameters, ScrapeResult, TrackerReply } from './request.ts'
import { percentEncode, scrapeUrl, trackerName, withParameters } from './tracker-url.ts'

/** Options of {@link httpAnnounce}. */
export interface HttpAnnounceOptions extends HttpGetOptions {
  /** Hears, before the announce resolves, that a part of the answer is of no use. */
  readonly onOddReply?: ((warning: TorrentError) => void) | undefined
}

/**
 * One announce over HTTP or HTTPS (BEP 3, 7, 23); peers that a server there may not name are left out.
 * @throws TorrentError ERR_TRACKER_FAILURE, ERR_TRACKER_RESPONSE, ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT or
 * ERR_TRACKER_URL; the signal's reason.
 */
export async function httpAnnounce(
  url: URL,
  parameters: AnnounceParameters,
  options: HttpAnnounceOptions = {}
): Promise<TrackerReply> {
  return ask(url, withParameters(url, encodeParameters(parameters)), options, (body, scope) => {
    const reply = parseHttpAnnounce(body, (what) => {
      const message = `only a part of the answer is used: ${what}`
      options.onOddReply?.(about(url, new TorrentError('ERR_TRACKER_RESPONSE', message)))
    })
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
  const { scope, status, body, cut } = await httpGet(full, options)
  try {
    if (status === 200) return parse(body, scope)
    throw (
      findFailure(body) ??
      new TorrentError('ERR_TRACKER_FAILURE', `HTTP status ${status}`, { details: { status } })
    )
  } catch (error) {
    if (!(error instanceof TorrentError)) throw error
    // Of an answer that broke off the rest is missing, and what is wrong is the connection.
    if (cut !== undefined && error.code === 'ERR_TRACKER_RESPONSE') throw cut
    throw about(url, error)
  }
}

function about(url: URL, error: TorrentError): TorrentError {
  return new TorrentError(error.code, `${trackerName(url)}: ${error.message}`, {
    cause: error.cause,
    details: { ...error.details, url: url.href }
  })
}
