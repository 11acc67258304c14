import { hostOfUrl, serverName } from '../net/url-host.ts'
import { isIP } from '../util/address.ts'
import { TorrentError } from '../util/errors.ts'
import { redactUrl } from '../util/redact.ts'
import { show } from '../util/show.ts'
import { quote } from './quote.ts'

// Parameters that a torrent's URL must not set: they tell the tracker about us.
const reserved = new Set(['info_hash', 'peer_id', 'port', 'uploaded', 'downloaded', 'left', 'event', 'key'])

/** Returns whether {@link parseTrackerUrl} supports the scheme of this URL: http, https or udp. */
export function isSupportedTracker(url: string): boolean {
  return /^(https?|udp):/i.test(url.trim())
}

/**
 * Parses a tracker URL: `http:`, `https:` or `udp:`, the last with a port.
 * @throws TorrentError ERR_TRACKER_URL if it is malformed, has another scheme, or sets parameters of an
 * announce.
 */
export function parseTrackerUrl(text: string): URL {
  if (typeof text !== 'string')
    throw new TorrentError('ERR_TRACKER_URL', `${show(text)} is not a tracker URL`)
  const refuse = (why: string): TorrentError =>
    new TorrentError('ERR_TRACKER_URL', `Tracker URL '${quote(redactUrl(text))}' ${why}`, {
      details: { url: redactUrl(text) }
    })
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw refuse('is malformed')
  }
  if (!isSupportedTracker(url.href)) throw refuse('is neither http, https nor udp')
  for (const name of url.searchParams.keys()) {
    if (reserved.has(name)) throw refuse(`sets '${name}', which only the announce may set`)
  }
  if (url.protocol === 'udp:') {
    if (url.port === '' || url.port === '0') throw refuse('has no port')
    if (isIP(hostOfUrl(url)) === 0 && !/^[\w.-]{1,253}$/.test(hostOfUrl(url)))
      throw refuse('has no valid host')
  }
  return url
}

/**
 * Returns the scrape URL of an HTTP announce URL: `announce` at the start of the last path segment becomes
 * `scrape` (BEP 48).
 * @throws TorrentError ERR_TRACKER_URL if the last segment starts otherwise: this tracker supports no scrape.
 */
export function scrapeUrl(announceUrl: URL): URL {
  const match = /^(.*\/)announce([^/]*)$/.exec(announceUrl.pathname)
  if (match === null) {
    throw new TorrentError(
      'ERR_TRACKER_URL',
      `${serverName(announceUrl)} cannot be scraped: no 'announce' in its URL`,
      {
        details: { url: redactUrl(announceUrl) }
      }
    )
  }
  const url = new URL(announceUrl)
  url.pathname = `${match[1]}scrape${match[2]}`
  return url
}

/** Percent-encodes raw bytes: letters, digits and `-._~` stay, all others become %XX (BEP 3). */
export function percentEncode(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) {
    const letter = String.fromCharCode(byte)
    text += /[\w.~-]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return text
}

/** Returns the URL with encoded parameters appended to its query; keeps credentials and port, drops the fragment. */
export function withParameters(url: URL, parameters: string): URL {
  const own = url.search === '' ? '?' : `${url.search}&`
  const full = new URL(url)
  full.search = `${own}${parameters}`
  full.hash = ''
  return full
}
