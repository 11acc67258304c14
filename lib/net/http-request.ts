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
import { socketLookup } from './host-guard.ts'
import { readBody, unpackBody } from './http-body.ts'
import { lenientAgent } from './lenient-connection.ts'
import { limits } from './limits.ts'
import type { HostLookup } from './resolve-host.ts'
import type { TcpTransport } from './tcp.ts'
import { hostOfUrl, serverName } from './url-host.ts'

/** How one request is made. */
export interface HttpRequestOptions {
  /** Opens the socket. */
  readonly tcp: Pick<TcpTransport, 'open'>
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
  /** Returns how far an address reaches. */
  scopeOf(address: string): IpScope
  /** Returns why an address may not be asked, or undefined when it may. */
  refuse(address: string): TorrentError | undefined
}

/** An answer with its body unpacked. */
export interface HttpAnswer {
  /** Why the body ended early; it may be whole all the same. */
  readonly cut: TorrentError | undefined
  /** How near the server is that gave it. */
  readonly scope: IpScope
  readonly status: number
  /** The words of the standard for the status; empty for a status that it does not have. */
  readonly statusText: string
  readonly body: Uint8Array
  /** Where it redirects to; undefined for any other answer. */
  readonly location: string | undefined
}

/** These redirect; any other 3xx status does if it names a place, as trackers send 300 and 304 for it. */
const redirectStatuses = new Set([301, 302, 303, 307, 308])

/**
 * Makes one request on a connection of its own; follows no redirect.
 * @throws TorrentError ERR_TRACKER_NETWORK, ERR_TRACKER_TIMEOUT or ERR_TRACKER_RESPONSE; what `refuse` gave.
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
      const agent = ownAgent ?? lenientAgent(isSecure, (settings) => options.tcp.open(settings, { isSecure }))
      request = (isSecure ? requestHttps : requestHttp)({ ...settingsOf(url, options), agent })
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
          fail(new TorrentError('ERR_TRACKER_RESPONSE', `${name} redirects to nowhere`))
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
    request.end()
  })
}

function settingsOf(url: URL, options: HttpRequestOptions): RequestOptions {
  const { localAddress, family, ca } = options
  const isSecure = url.protocol === 'https:'
  const settings: RequestOptions & { ca?: string | string[] } = {
    host: hostOfUrl(url),
    port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    // Node's parser is strict because two parties that share a connection may disagree about where a message ends, and a proxy may pass
    // on what it misread. Here each connection carries one request and its answer ends with it, nothing is passed on, header and body
    // are bounded, and the only thing that is made of the body is bencode with limits of its own, or a magnet link.
    insecureHTTPParser: true,
    maxHeaderSize: limits.headBytes,
    lookup: socketLookup(options.lookup, options),
    timeout: options.idleTimeoutMs,
    signal: options.signal,
    headers: {
      'User-Agent': `piecewise/${version}`,
      'Accept-Encoding': 'gzip, deflate',
      Accept: options.accept,
      Connection: 'close'
    },
    ...(url.username === '' ? {} : { auth: `${decodePercent(url.username)}:${decodePercent(url.password)}` }),
    ...(family === undefined ? {} : { family }),
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] })
  }
  return settings
}

/** How near the server is that answers; one behind an agent of the program is known by the URL alone. */
function scopeOfServer(
  url: URL,
  response: IncomingMessage,
  { scopeOf }: HttpRequestOptions,
  ownAgent: Agent | undefined
): IpScope {
  const host = hostOfUrl(url)
  const address = response.socket.remoteAddress
  if (ownAgent === undefined && address !== undefined) return scopeOf(address)
  return isIP(host) !== 0 ? scopeOf(host) : 'global'
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
