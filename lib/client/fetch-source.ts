import { STATUS_CODES } from 'node:http'
import { isIP } from 'node:net'
import { maxTorrentBytes } from '../metainfo/parse-info.ts'
import { anywhere, publicOnly } from '../net/host-guard.ts'
import { type HttpAnswer, httpGet } from '../net/http-get.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { redactUrl } from '../util/redact.ts'
import type { Trust } from '../util/trust.ts'

/** How long a .torrent may take to come over HTTP, redirects included. */
const fetchMs = 30_000

/** How an address is fetched. */
export interface FetchSourceOptions {
  readonly signal?: AbortSignal | undefined
  /** `'remote'` lets the address lead to public hosts alone. */
  readonly trust?: Trust | undefined
  /** The local address to leave from. */
  readonly host?: string | undefined
}

/**
 * Fetches what an http(s) address has: the body of the answer, or the magnet link to which it redirects, as indexers do. User and
 * password of the address are sent to its own server alone.
 * @throws TorrentError ERR_CLIENT_SOURCE; the signal's reason.
 */
export async function fetchSource(
  text: string,
  { signal, trust = 'program', host }: FetchSourceOptions
): Promise<Uint8Array | string> {
  const shown = redactUrl(text)
  const fail = (reason: string, cause?: unknown): TorrentError =>
    new TorrentError('ERR_CLIENT_SOURCE', `${shown} could not be fetched: ${reason}`, {
      cause,
      details: { url: shown }
    })
  if (!URL.canParse(text)) throw fail('the address is malformed')
  const url = new URL(text)
  url.hash = ''
  const family = bindFamily(host)
  let answer: HttpAnswer
  try {
    answer = await httpGet(url, {
      signal,
      guard: trust === 'program' ? anywhere : publicOnly,
      accept: 'application/x-bittorrent, */*;q=0.5',
      bodyBytes: maxTorrentBytes,
      inflatedBytes: maxTorrentBytes,
      timeoutMs: fetchMs,
      ...(family === undefined ? {} : { localAddress: host, family })
    })
  } catch (thrown) {
    signal?.throwIfAborted()
    const cause = asError(thrown)
    throw fail(withoutName(cause.message, url), cause)
  }
  const { location, status, cut, body } = answer
  if (location !== undefined) {
    if (/^magnet:/i.test(location)) return location
    throw fail('it redirects to what is neither an http address nor a magnet link')
  }
  if (status < 200 || status > 299) {
    const login =
      status === 401 || status === 403
        ? ': it may want a user name and password, as in https://user:password@host/'
        : ''
    throw fail(`the server answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd() + login)
  }
  if (cut !== undefined) throw fail(withoutName(cut.message, url), cut)
  return body
}

/** The family of a local address that is bound; undefined for none, and for those that stand for all. */
function bindFamily(host: string | undefined): 4 | 6 | undefined {
  if (host === undefined || /^(?:0\.0\.0\.0|[0:]*)$/.test(host)) return undefined
  const family = isIP(host)
  return family === 4 || family === 6 ? family : undefined
}

/** A message of `httpGet` without the name of the server in front. */
function withoutName(message: string, { protocol, host }: URL): string {
  const name = `${protocol}//${host}`
  if (message.startsWith(`${name}: `)) return message.slice(name.length + 2)
  return message.startsWith(`${name} `) ? `it${message.slice(name.length)}` : message
}
