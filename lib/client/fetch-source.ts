import { maxTorrentBytes } from '../metainfo/limits.ts'
import { anywhere, publicOnly } from '../net/host-guard.ts'
import type { HttpAnswer } from '../net/http-request.ts'
import type { Network } from '../net/network.ts'
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
}

/**
 * Fetches what an http(s) address has: the body of the answer, or the magnet link to which it redirects, as indexers do. User and
 * password of the address are sent to its own server alone.
 * @throws TorrentError ERR_CLIENT_SOURCE; the signal's reason.
 */
export async function fetchSource(
  { http }: Pick<Network, 'http'>,
  text: string,
  { signal, trust = 'program' }: FetchSourceOptions
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
  let answer: HttpAnswer
  try {
    answer = await http.get(url, {
      signal,
      guard: trust === 'program' ? anywhere : publicOnly,
      accept: 'application/x-bittorrent, */*;q=0.5',
      bodyBytes: maxTorrentBytes,
      inflatedBytes: maxTorrentBytes,
      timeoutMs: fetchMs
    })
  } catch (thrown) {
    signal?.throwIfAborted()
    const cause = asError(thrown)
    throw fail(withoutName(cause.message, url), cause)
  }
  const { location, status, statusText, cut, body } = answer
  if (location !== undefined) {
    if (/^magnet:/i.test(location)) return location
    throw fail('it redirects to what is neither an http address nor a magnet link')
  }
  if (status < 200 || status > 299) {
    const login =
      status === 401 || status === 403
        ? ': it may want a user name and password, as in https://user:password@host/'
        : ''
    throw fail(`the server answered ${status} ${statusText}`.trimEnd() + login)
  }
  if (cut !== undefined) throw fail(withoutName(cut.message, url), cut)
  return body
}

/** A message of the HTTP client without the name of the server in front. */
function withoutName(message: string, { protocol, host }: URL): string {
  const name = `${protocol}//${host}`
  if (message.startsWith(`${name}: `)) return message.slice(name.length + 2)
  return message.startsWith(`${name} `) ? `it${message.slice(name.length)}` : message
}
