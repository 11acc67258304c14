import { maxTorrentBytes } from '../metainfo/limits.ts'
import { anywhere, publicOnly } from '../net/host-guard.ts'
import type { HttpAnswer } from '../net/http-request.ts'
import type { Network } from '../net/network.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { redactUrl } from '../util/redact.ts'
import type { Trust } from '../util/trust.ts'

/** Timeout of a download of a .torrent in milliseconds, including redirects. */
const fetchMs = 30_000

/** Options of {@link fetchSource}. */
export interface FetchSourceOptions {
  readonly signal?: AbortSignal | undefined
  /** `'remote'` allows public hosts only, also after redirects. Default `'program'`. */
  readonly trust?: Trust | undefined
}

/**
 * Fetches an http(s) URL. Returns the body, or the magnet link that the URL redirects to, as indexers do. User and password of the URL
 * are sent only to its own server.
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
    throw fail('it redirects to something that is neither an http(s) address nor a magnet link')
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

/** Removes the server's name from the beginning of a message, because the caller's message already has it. */
function withoutName(message: string, { protocol, host }: URL): string {
  const name = `${protocol}//${host}`
  if (message.startsWith(`${name}: `)) return message.slice(name.length + 2)
  return message.startsWith(`${name} `) ? `it${message.slice(name.length)}` : message
}
