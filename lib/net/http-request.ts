import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
  STATUS_CODES
} from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from '../util/address.ts'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import type { IpScope } from '../util/ip-scope.ts'
import { decodePercent } from '../util/redact.ts'
import { version } from '../util/version.ts'
import { scopeOfName, socketLookup } from './host-guard.ts'
import { readBody, unpackBody } from './http-body.ts'
import { lenientAgent } from './lenient-connection.ts'
import { limits } from './limits.ts'
import type { HostLookup } from './resolve-host.ts'
import type { TcpTransport } from './tcp.ts'
import { hostOfUrl, serverName } from './url-host.ts'

/** Body of an HTTP request. */
export interface HttpContent {
  readonly text: string
  /** Headers that describe it. */
  readonly headers: Readonly<Record<string, string>>
}

/** Options of {@link httpRequest}. */
export interface HttpRequestOptions {
  readonly tcp: Pick<TcpTransport, 'open' | 'proxy'>
  readonly lookup: HostLookup
  readonly localAddress: string | undefined
  readonly family: 4 | 6 | undefined
  readonly signal: AbortSignal
  readonly idleTimeoutMs: number
  readonly accept: string
  readonly ca: string | readonly string[] | undefined
  readonly agent: ((url: URL) => Agent) | undefined
  readonly bodyBytes: number | undefined
  readonly inflatedBytes: number | undefined
  readonly onSent: (() => void) | undefined
  /** Body of a POST request; without it, the request is a GET. */
  readonly content?: HttpContent | undefined
  /** Returns how far an IP address reaches, which decides whether it may be contacted. */
  scopeOf(address: string): IpScope
  /** Returns the error that refuses an address, or undefined if it is allowed. */
  refuse(address: string): TorrentError | undefined
}

/** A response with its decompressed body. */
export interface HttpAnswer {
  /** Error that ended the body early; the body may still be complete. */
  readonly cut: TorrentError | undefined
  /** Scope of the server's address. */
  readonly scope: IpScope
  readonly status: number
  /** Standard phrase for the status; empty for a non-standard status. */
  readonly statusText: string
  readonly body: Uint8Array
  /** Target of a redirect; undefined for other responses. */
  readonly location: string | undefined
}

/** Statuses that redirect. Other 3xx statuses redirect too if they have a `Location`; some trackers use 300 and 304. */
const redirectStatuses = new Set([301, 302, 303, 307, 308])

/**
 * Makes one request on a new connection, without following redirects.
 * @throws TorrentError ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT or ERR_TRACKER_RESPONSE; the error from
 * `refuse`.
 */
export function httpRequest(url: URL, options: HttpRequestOptions): Promise<HttpAnswer> {
  const name = serverName(url)
  const isSecure = url.protocol === 'https:'
  return new Promise((resolve, reject) => {
    let answered = false
    let request: ClientRequest
    let ownAgent: Agent | undefined
    try {
      ownAgent = options.agent?.(url)
      const agent =
        ownAgent ??
        lenientAgent(isSecure, (settings) => options.tcp.open(settings, { isSecure, signal: options.signal }))
      request = (isSecure ? requestHttps : requestHttp)({ ...settingsOf(url, options), agent })
    } catch (thrown) {
      // The agent or another option is invalid.
      reject(explain(name, thrown))
      return
    }
    const fail = (error: unknown): void => {
      reject(explain(name, error))
      request.destroy()
    }
    request.on('finish', () => options.onSent?.())
    request.on('error', (error) => {
      // Once the response has begun, the body reader handles errors.
      if (!answered) fail(error)
    })
    request.on('timeout', () => {
      const error = new TorrentError('ERR_TRACKER_TIMEOUT', `${name}: silent for ${options.idleTimeoutMs} ms`)
      if (answered) request.destroy(error)
      else fail(error)
    })
    const onEarlyClose = (): void => fail(new Error('the connection closed without an answer'))
    request.on('close', onEarlyClose)
    request.on('response', (response) => {
      request.off('close', onEarlyClose)
      answered = true
      const { statusCode: status = 0, headers } = response
      const scope = scopeOfServer(url, response, options, ownAgent)
      const head = { scope, status, statusText: STATUS_CODES[status] ?? '' }
      const { location } = headers
      if (redirectStatuses.has(status) || (location !== undefined && status >= 300 && status < 400)) {
        if (location === undefined)
          fail(new TorrentError('ERR_TRACKER_RESPONSE', `${name} redirects without a Location header`))
        else resolve({ ...head, cut: undefined, body: new Uint8Array(0), location })
        request.destroy()
        return
      }
      const unpacked = async (): Promise<HttpAnswer> => {
        const packed = await readBody(request, response, options.bodyBytes)
        const cut = packed.cut === undefined ? undefined : explain(name, packed.cut)
        try {
          const body = await unpackBody(packed.bytes, headers['content-encoding'], options.inflatedBytes)
          return { ...head, cut, body, location: undefined }
        } catch (error) {
          throw cut ?? error
        }
      }
      unpacked().then(resolve, fail)
    })
    // Sent as one write, because some routers read only one segment; `end` adds the length.
    request.end(options.content?.text)
  })
}

function settingsOf(url: URL, options: HttpRequestOptions): RequestOptions {
  const { localAddress, family, ca, content } = options
  const isSecure = url.protocol === 'https:'
  const settings: RequestOptions & { ca?: string | string[] } = {
    host: hostOfUrl(url),
    port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    method: content === undefined ? 'GET' : 'POST',
    // Node's strict parser protects shared connections, on which two parties may disagree about message
    // boundaries, and proxies, which may forward misread messages. Here each connection carries one request,
    // nothing is forwarded, header and body are limited in size, and the body is only parsed as bencode,
    // a magnet link or a router's XML, each with limits of its own.
    insecureHTTPParser: true,
    maxHeaderSize: limits.headBytes,
    lookup: socketLookup(options.lookup, options),
    timeout: options.idleTimeoutMs,
    signal: options.signal,
    headers: {
      'User-Agent': `piecewise/${version}`,
      'Accept-Encoding': 'gzip, deflate',
      Accept: options.accept,
      Connection: 'close',
      ...content?.headers
    },
    ...(url.username === '' ? {} : { auth: `${decodePercent(url.username)}:${decodePercent(url.password)}` }),
    ...(family === undefined ? {} : { family }),
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] })
  }
  return settings
}

/** Returns the scope of the server that answered; with a proxy or an agent of the program, only the URL can tell. */
function scopeOfServer(
  url: URL,
  response: IncomingMessage,
  { scopeOf, tcp }: HttpRequestOptions,
  ownAgent: Agent | undefined
): IpScope {
  const host = hostOfUrl(url)
  if (ownAgent !== undefined) return isIP(host) !== 0 ? scopeOf(host) : 'global'
  if (tcp.proxy !== undefined) return scopeOfName(host, scopeOf)
  const address = response.socket.remoteAddress
  return address === undefined ? scopeOfName(host, scopeOf) : scopeOf(address)
}

function explain(name: string, error: unknown): TorrentError {
  if (error instanceof TorrentError && !error.code.startsWith('ERR_TRANSPORT_')) {
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
  const reason = error instanceof TorrentError ? error.message : (code ?? asError(error).message)
  return new TorrentError('ERR_TRACKER_NETWORK', `${name}: ${reason}`, {
    cause: error
  })
}
