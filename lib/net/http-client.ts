import {
  type Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type RequestOptions,
  request as requestHttp
} from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import { isLoopback } from '../util/address.ts'
import { abortable } from '../util/concurrency.ts'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import { type IpScope, ipScope } from '../util/ip-scope.ts'
import { decodePercent } from '../util/redact.ts'
import { systemTimers, type Timers } from '../util/timers.ts'
import { version } from '../util/version.ts'
import { guardedLookup, type HostGuard, publicOnly, reach, refusal } from './host-guard.ts'
import { readBody, unpackBody } from './http-body.ts'
import { lenientAgent } from './lenient-connection.ts'
import { limits } from './limits.ts'
import type { HostLookup } from './resolve-host.ts'
import { hostOfUrl, serverName } from './url-host.ts'

/** Options of {@link httpGet}. */
export interface HttpGetOptions {
  readonly signal?: AbortSignal | undefined
  /** Longest time, redirects included; default 30,000. */
  readonly timeoutMs?: number | undefined
  /** Longest silence of the server; default 15,000. */
  readonly idleTimeoutMs?: number | undefined
  /** The only address family to use; default both. */
  readonly family?: 4 | 6 | undefined
  /** The local address that connections leave from. */
  readonly localAddress?: string | undefined
  /** Trusted certificates (PEM) instead of the built-in ones. */
  readonly ca?: string | readonly string[] | undefined
  /** The agent of a connection, such as a proxy's; default is a connection of its own for each request. */
  readonly agent?: ((url: URL) => Agent) | undefined
  /** Resolves host names; default is the operating system's resolver. */
  readonly lookup?: HostLookup | undefined
  /** The clock and timers, for tests. */
  readonly timers?: Timers | undefined
  /** Says which addresses may be asked; default public ones alone. */
  readonly guard?: HostGuard | undefined
  /** Value of the `Accept` header; default any type. */
  readonly accept?: string | undefined
  /** Bytes of the body at most, as sent and unpacked; default those of a tracker's answer. */
  readonly bodyBytes?: number | undefined
  readonly inflatedBytes?: number | undefined
  /** Hears that a request, each one when there are redirects, was handed to a connection that stands. */
  readonly onSent?: (() => void) | undefined
  /** Tells how far an address reaches, for tests. */
  readonly scopeOf?: ((address: string) => IpScope) | undefined
}

/** An answer with its body unpacked. */
export interface HttpAnswer {
  /** Why the body ended early; it may be whole all the same. */
  readonly cut: TorrentError | undefined
  /** How near the server is that gave it. */
  readonly scope: IpScope
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Uint8Array
  /** Where it redirects to when that is no http URL, of which the caller may make something. */
  readonly location: string | undefined
}

/** These redirect; any other 3xx status does if it names a place, as trackers send 300 and 304 for it. */
const redirectStatuses = new Set([301, 302, 303, 307, 308])

/**
 * Fetches a small answer: body and inflated body, redirects and time are bounded, each request has a connection of its own.
 * A redirect may not lead to a host that is more local than the last one, and the `guard` says which hosts may be asked at all. A
 * redirect to what is no http URL is an answer with its `location`.
 * @throws TorrentError ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT, ERR_TRACKER_RESPONSE, or ERR_TRACKER_URL for a place that is
 * refused; the signal's reason.
 */
export async function httpGet(url: URL, options: HttpGetOptions = {}): Promise<HttpAnswer> {
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
    return await abortable(follow(url, options, controller.signal), controller.signal)
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason
    throw error
  } finally {
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

async function follow(start: URL, options: HttpGetOptions, signal: AbortSignal): Promise<HttpAnswer> {
  const { guard = publicOnly } = options
  const seen = new Set<string>()
  let url = start
  let leastReach = 0
  for (let hop = 0; hop <= limits.redirects; hop++) {
    seen.add(url.href)
    const refuse = (scope: IpScope): TorrentError | undefined =>
      refusal(url, scope, hop, { guard, leastReach })
    const answer = await requestOnce(url, refuse, options, signal)
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

function requestOnce(
  url: URL,
  refuse: (scope: IpScope) => TorrentError | undefined,
  options: HttpGetOptions,
  signal: AbortSignal
): Promise<HttpAnswer> {
  const { idleTimeoutMs = 15_000, scopeOf = ipScope, accept = '*/*' } = options
  const name = serverName(url)
  const host = hostOfUrl(url)
  const secure = url.protocol === 'https:'
  const guard = (address: string): TorrentError | undefined => refuse(scopeOf(address))
  const refused = isIP(host) !== 0 ? guard(host) : isLoopback(host) ? guard('127.0.0.1') : undefined
  if (refused !== undefined) return Promise.reject(refused)
  let ownAgent: Agent | undefined
  try {
    ownAgent = options.agent?.(url)
  } catch (thrown) {
    return Promise.reject(explain(name, thrown))
  }
  const settings: RequestOptions & { ca?: string | string[] } = {
    host,
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    agent: ownAgent ?? lenientAgent(secure),
    // Node's parser is strict because two parties that share a connection may disagree about where a message ends, and a proxy may pass
    // on what it misread. Here each connection carries one request and its answer ends with it, nothing is passed on, header and body
    // are bounded, and the only thing that is made of the body is bencode with limits of its own, or a magnet link.
    insecureHTTPParser: true,
    maxHeaderSize: limits.headBytes,
    lookup: guardedLookup(guard, options),
    timeout: idleTimeoutMs,
    signal,
    headers: {
      'User-Agent': `piecewise/${version}`,
      'Accept-Encoding': 'gzip, deflate',
      Accept: accept,
      Connection: 'close'
    },
    ...(url.username === '' ? {} : { auth: `${decodePercent(url.username)}:${decodePercent(url.password)}` }),
    ...(options.family === undefined ? {} : { family: options.family }),
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    ...(options.ca === undefined ? {} : { ca: typeof options.ca === 'string' ? options.ca : [...options.ca] })
  }
  return new Promise((resolve, reject) => {
    let answered = false
    let request: ClientRequest
    try {
      request = (secure ? requestHttps : requestHttp)(settings)
    } catch (thrown) {
      // An agent or another option that Node does not take.
      reject(explain(name, thrown))
      return
    }
    const fail = (error: unknown): void => {
      reject(explain(name, error))
      request.destroy()
    }
    request.on('finish', () => options.onSent?.())
    request.on('error', (error) => {
      // Once the answer has begun, the reader of its body decides.
      if (!answered) fail(error)
    })
    request.on('timeout', () => {
      const error = new TorrentError('ERR_TRACKER_TIMEOUT', `${name}: silent for ${idleTimeoutMs} ms`)
      if (answered) request.destroy(error)
      else fail(error)
    })
    const onEarlyClose = (): void => fail(new Error('the connection closed without an answer'))
    request.on('close', onEarlyClose)
    request.on('response', (response) => {
      request.off('close', onEarlyClose)
      answered = true
      const status = response.statusCode ?? 0
      const address = response.socket.remoteAddress
      const scope =
        ownAgent === undefined && address !== undefined
          ? scopeOf(address)
          : isIP(host)
            ? scopeOf(host)
            : 'global'
      const { headers } = response
      const { location } = headers
      if (redirectStatuses.has(status) || (location !== undefined && status >= 300 && status < 400)) {
        if (location === undefined)
          fail(new TorrentError('ERR_TRACKER_RESPONSE', `${name} redirects to nowhere`))
        else resolve({ scope, status, headers, cut: undefined, body: new Uint8Array(0), location })
        request.destroy()
        return
      }
      const unpacked = async (): Promise<HttpAnswer> => {
        const packed = await readBody(request, response, options.bodyBytes)
        const cut = packed.cut === undefined ? undefined : explain(name, packed.cut)
        try {
          const body = await unpackBody(packed.bytes, headers['content-encoding'], options.inflatedBytes)
          return { scope, status, headers, cut, body, location: undefined }
        } catch (error) {
          throw cut ?? error
        }
      }
      unpacked().then(resolve, fail)
    })
    request.end()
  })
}

function explain(name: string, error: unknown): TorrentError {
  if (error instanceof TorrentError) {
    if (error.message.startsWith(name)) return error
    return new TorrentError(error.code, `${name}: ${error.message}`, {
      cause: error.cause,
      details: error.details
    })
  }
  const code = systemCode(error)
  if (code?.startsWith('HPE_')) {
    return new TorrentError('ERR_TRACKER_RESPONSE', `${name} does not speak HTTP (${code})`, { cause: error })
  }
  return new TorrentError('ERR_TRACKER_NETWORK', `${name}: ${code ?? asError(error).message}`, {
    cause: error
  })
}
