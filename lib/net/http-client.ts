import { isIP, isLoopback } from '../util/address.ts'
import { abortable } from '../util/concurrency.ts'
import { TorrentError } from '../util/errors.ts'
import { type IpScope, ipScope } from '../util/ip-scope.ts'
import { systemTimers } from '../util/timers.ts'
import { type HostGuard, publicOnly, reach, refusal } from './host-guard.ts'
import type { HttpOptions } from './http-options.ts'
import { type HttpAnswer, httpRequest } from './http-request.ts'
import { limits } from './limits.ts'
import type { HostLookup } from './resolve-host.ts'
import type { TcpTransport } from './tcp.ts'
import { hostOfUrl, serverName } from './url-host.ts'

/** Options of {@link HttpClient.get}. */
export interface HttpGetOptions extends HttpOptions {
  readonly signal?: AbortSignal | undefined
  /** Returns why an address may not be asked; default lets public ones alone be asked. */
  readonly guard?: HostGuard | undefined
  /** Value of the `Accept` header; default any type. */
  readonly accept?: string | undefined
  /** Bytes of the body at most, as sent and unpacked; default those of a tracker's answer. */
  readonly bodyBytes?: number | undefined
  readonly inflatedBytes?: number | undefined
  /** Called when a request, each one when there are redirects, was handed to a connection that stands. */
  readonly onSent?: (() => void) | undefined
  /** Returns how far an address reaches, for tests. */
  readonly scopeOf?: ((address: string) => IpScope) | undefined
}

/** The parts of a network that an {@link HttpClient} uses. */
export interface HttpClientParts {
  /** Opens sockets. */
  readonly tcp: Pick<TcpTransport, 'open'>
  /** Resolves host names. */
  readonly lookup: HostLookup
  /** The local address that connections leave from; default any. */
  readonly localAddress?: string | undefined
  /** The address family of the local address. */
  readonly family?: 4 | 6 | undefined
}

/** Fetches small answers over HTTP and HTTPS; each request has a connection of its own. */
export class HttpClient {
  readonly #parts: HttpClientParts

  constructor(parts: HttpClientParts) {
    this.#parts = parts
  }

  /**
   * Fetches an answer: body and inflated body, redirects and time are bounded. A redirect may not lead to a host that is more local than
   * the last one, and the `guard` says which hosts may be asked at all. A redirect to what is no http URL is an answer with its `location`.
   * @throws TorrentError ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT, ERR_TRACKER_RESPONSE, or ERR_TRACKER_URL for a place that is refused;
   * the signal's reason.
   */
  async get(url: URL, options: HttpGetOptions = {}): Promise<HttpAnswer> {
    const { signal, timeoutMs = 30_000, timers = systemTimers } = options
    signal?.throwIfAborted()
    const controller = new AbortController()
    const onAbort = (): void => controller.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const cancel = timers.after(timeoutMs, () => {
      controller.abort(
        new TorrentError('ERR_TRACKER_TIMEOUT', `${serverName(url)}: no answer in ${timeoutMs} ms`)
      )
    })
    try {
      return await abortable(this.#follow(url, options, controller.signal), controller.signal)
    } catch (error) {
      if (controller.signal.aborted) throw controller.signal.reason
      throw error
    } finally {
      cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #follow(start: URL, options: HttpGetOptions, signal: AbortSignal): Promise<HttpAnswer> {
    const seen = new Set<string>()
    let url = start
    let leastReach = 0
    for (let hop = 0; hop <= limits.redirects; hop++) {
      seen.add(url.href)
      const answer = await this.#request(url, options, { hop, leastReach, signal })
      if (answer.location === undefined) return answer
      leastReach = reach[answer.scope]
      const next = redirectTarget(url, answer.location)
      if (next === undefined) return answer
      if (seen.has(next.href))
        throw new TorrentError('ERR_TRACKER_RESPONSE', `${serverName(start)} redirects in a circle`)
      url = next
    }
    throw new TorrentError(
      'ERR_TRACKER_RESPONSE',
      `${serverName(start)} redirects more than ${limits.redirects} times`
    )
  }

  async #request(
    url: URL,
    options: HttpGetOptions,
    { hop, leastReach, signal }: { hop: number; leastReach: number; signal: AbortSignal }
  ): Promise<HttpAnswer> {
    const { guard = publicOnly, scopeOf = ipScope } = options
    const refuse = (address: string): TorrentError | undefined =>
      refusal(url, scopeOf(address), hop, { guard, leastReach })
    const host = hostOfUrl(url)
    const refused = isIP(host) !== 0 ? refuse(host) : isLoopback(host) ? refuse('127.0.0.1') : undefined
    if (refused !== undefined) throw refused
    const { tcp, lookup, localAddress, family } = this.#parts
    return httpRequest(url, {
      tcp,
      lookup: options.lookup ?? lookup,
      localAddress: options.localAddress ?? localAddress,
      family: options.family ?? (options.localAddress === undefined ? family : undefined),
      signal,
      idleTimeoutMs: options.idleTimeoutMs ?? 15_000,
      accept: options.accept ?? '*/*',
      ca: options.ca,
      agent: options.agent,
      bodyBytes: options.bodyBytes,
      inflatedBytes: options.inflatedBytes,
      onSent: options.onSent,
      scopeOf,
      refuse
    })
  }
}

/** Where a redirect leads; undefined when that is no http URL. */
function redirectTarget(from: URL, location: string): URL | undefined {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined
  url.hash = ''
  // Credentials are for the server that they were given for; `new URL` drops those of `from` by itself.
  if (url.origin === from.origin && url.username === '') {
    url.username = from.username
    url.password = from.password
  }
  return url
}
