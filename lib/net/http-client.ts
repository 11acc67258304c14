import { isIP, isLoopback } from '../util/address.ts'
import { abortable } from '../util/concurrency.ts'
import { TorrentError } from '../util/errors.ts'
import { type IpScope, ipScope } from '../util/ip-scope.ts'
import { systemTimers } from '../util/timers.ts'
import { type HostGuard, publicOnly, reach, refusal, scopeOfName } from './host-guard.ts'
import type { HttpOptions } from './http-options.ts'
import { type HttpAnswer, type HttpContent, httpRequest } from './http-request.ts'
import { limits } from './limits.ts'
import type { HostLookup } from './resolve-host.ts'
import type { TcpTransport } from './tcp.ts'
import { hostOfUrl, serverName } from './url-host.ts'

/** Options of {@link HttpClient.get}. */
export interface HttpGetOptions extends HttpOptions {
  readonly signal?: AbortSignal | undefined
  /** Returns why an address may not be used; default allows public addresses only. */
  readonly guard?: HostGuard | undefined
  /** Value of the `Accept` header; default any type. */
  readonly accept?: string | undefined
  /** Maximum bytes of the body, compressed and decompressed; default those of a tracker response. */
  readonly bodyBytes?: number | undefined
  readonly inflatedBytes?: number | undefined
  /** Called for each request, including redirected ones, when it was written to an open connection. */
  readonly onSent?: (() => void) | undefined
  /** Returns the scope of an address; for tests. */
  readonly scopeOf?: ((address: string) => IpScope) | undefined
}

/** Options of {@link HttpClient.ask}. */
export interface HttpAskOptions {
  /** The only IP address that may be asked. */
  readonly address: string
  /** Local address to connect from. */
  readonly localAddress: string
  /** Body of a POST request; without it, the request is a GET. */
  readonly content?: HttpContent | undefined
  /** Maximum bytes of the answer's body, compressed and decompressed. */
  readonly bodyBytes: number
  /** Maximum milliseconds of the request. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** Parts of a network that an {@link HttpClient} uses. */
export interface HttpClientParts {
  /** Opens sockets. */
  readonly tcp: Pick<TcpTransport, 'open' | 'proxy'>
  /** Resolves host names. */
  readonly lookup: HostLookup
  /** Local address to connect from; default any. */
  readonly localAddress?: string | undefined
  /** Address family of the local address. */
  readonly family?: 4 | 6 | undefined
}

/** Fetches small responses over HTTP and HTTPS. Each request uses a new connection. */
export class HttpClient {
  readonly #parts: HttpClientParts

  constructor(parts: HttpClientParts) {
    this.#parts = parts
  }

  /**
   * Fetches a URL, with limits on body size (compressed and decompressed), redirects and time. `guard`
   * decides which hosts may be used; a redirect may not lead to a more local host than the one before. A
   * redirect to another scheme is returned as a response with `location`.
   * @throws TorrentError ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT, ERR_TRACKER_RESPONSE, or ERR_TRACKER_URL
   * for a refused host; the signal's reason.
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

  /**
   * Makes one request to an address, which the URL's host must be, and returns what it answers, whatever the status
   * and without following a redirect.
   * @throws TorrentError ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT, ERR_TRACKER_RESPONSE, or ERR_TRACKER_URL for
   * another host; the signal's reason.
   */
  async ask(
    url: URL,
    { address, localAddress, content, bodyBytes, timeoutMs, signal }: HttpAskOptions
  ): Promise<HttpAnswer> {
    const limit = AbortSignal.timeout(timeoutMs)
    const both = signal === undefined ? limit : AbortSignal.any([signal, limit])
    both.throwIfAborted()
    if (hostOfUrl(url) !== address)
      throw new TorrentError('ERR_TRACKER_URL', `${serverName(url)} is not ${address}`)
    const { tcp, lookup } = this.#parts
    const settings = { tcp, lookup, localAddress, family: undefined, ca: undefined, agent: undefined }
    const limits = { bodyBytes, inflatedBytes: bodyBytes, idleTimeoutMs: timeoutMs }
    const rest = { onSent: undefined, scopeOf: ipScope, refuse: () => undefined, accept: '*/*' }
    return abortable(httpRequest(url, { ...settings, ...limits, ...rest, content, signal: both }), both)
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
    const { tcp, lookup, localAddress, family } = this.#parts
    const byScope = (scope: IpScope): TorrentError | undefined =>
      refusal(url, scope, hop, { guard, leastReach })
    const refuse = (address: string): TorrentError | undefined => byScope(scopeOf(address))
    const host = hostOfUrl(url)
    const isKnown = isIP(host) !== 0 || isLoopback(host) || tcp.proxy !== undefined
    const refused = isKnown ? byScope(scopeOfName(host, scopeOf)) : undefined
    if (refused !== undefined) throw refused
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

/** Returns the URL that a redirect leads to; undefined if it is not http or https. */
function redirectTarget(from: URL, location: string): URL | undefined {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined
  url.hash = ''
  // Credentials apply to one origin only. `new URL` drops those of `from`, so they are restored for the same origin.
  if (url.origin === from.origin && url.username === '') {
    url.username = from.username
    url.password = from.password
  }
  return url
}
