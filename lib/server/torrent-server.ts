import http, { type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Client, Torrent } from '../index.ts'
import { debug } from '../util/debug.ts'
import { asError } from '../util/errors.ts'
import { callListeners } from '../util/user-code.ts'
import { Admission } from './admission.ts'
import { Api } from './api.ts'
import { Catalog } from './catalog.ts'
import { EventStreams } from './event-streams.ts'
import { checkHost, checkToken } from './guard.ts'
import { type ServerLimits, serverLimits } from './limits.ts'
import { listenOptions, loopback } from './listen-options.ts'
import { loadPage } from './page.ts'
import { playlist, playlistFiles } from './playlist.ts'
import { hasBody, RequestQueues } from './request-queues.ts'
import { allowMethods, HttpError, respond, respondInParts, respondText } from './respond.ts'
import { sendFile } from './send-file.ts'
import type { CheckedOptions } from './server-options.ts'
import { parseTarget, type Target } from './target.ts'

const log = debug('server')
const readMethods = ['GET', 'HEAD']
/** Maximum interval between checks for requests that take too long. */
const lookEveryMs = 2000
/** The longest body that is received for a refused request, so that the connection can be reused. */
const mostUnreadBytes = 64 << 10

/** An `http.Server` for the files of torrents. Listens on loopback by default. `close()` also ends open requests. */
export class TorrentServer extends http.Server {
  readonly #catalog: Catalog
  readonly #options: CheckedOptions
  readonly #events: EventStreams
  readonly #api: Api
  readonly #admission: Admission
  readonly #queues: RequestQueues
  readonly #links: string

  /** @throws TorrentError ERR_SERVER_OPTION naming the invalid option. */
  constructor(source: Client | Torrent, options: CheckedOptions, given: ServerLimits = serverLimits) {
    const limits = { ...given, connections: options.maxConnections, streams: options.maxStreams }
    super({
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: Math.min(lookEveryMs, limits.headersMs / 4),
      keepAlive: true
    })
    this.#options = options
    this.#catalog = new Catalog(source)
    this.#admission = new Admission(limits)
    this.#queues = new RequestQueues(limits, (socket, isBusy) =>
      this.#admission.connections.setBusy(socket, isBusy)
    )
    this.#events = new EventStreams(this.#catalog, this.#admission)
    this.#api = new Api(this.#catalog, this.#options, this.#events, this.#admission)
    this.#links = this.#options.token === undefined ? '' : `?token=${encodeURIComponent(this.#options.token)}`
    this.on('request', (request, response) => {
      this.#queues.enqueue(request, response, () => void this.#answer(request, response))
    })
  }

  /** @internal Calls every listener, even if one throws, so that the server's own listeners always get a request. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    // As in `node:http`, an `error` without listeners ends the program.
    if (event === 'error' && this.listenerCount('error') === 0) return super.emit(event, ...args)
    const [socket] = args
    // Refuses a connection before memory is spent on it.
    if (event === 'connection' && socket instanceof Socket && !this.#admission.connections.admit(socket))
      return true
    return callListeners(this, event, args)
  }

  /** Listens as in `node:http`, but the default host is 127.0.0.1. */
  override listen(...args: unknown[]): this {
    const last = args.at(-1)
    const listener = typeof last === 'function' ? () => Reflect.apply(last, this, []) : undefined
    return super.listen(listenOptions(args), listener)
  }

  /** Stops listening and closes all connections, streams and event streams. */
  override close(callback?: (error?: Error) => void): this {
    this.#events.close()
    super.close(callback)
    this.#admission.connections.close()
    this.closeAllConnections()
    return this
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(this.#commonHeaders()))
      if (value !== undefined) response.setHeader(name, value)
    try {
      if (readMethods.includes(request.method ?? '') && hasBody(request))
        throw new HttpError(400, `a ${request.method} request must not have a body`)
      const target = parseTarget(request)
      checkHost(target.host, this, this.#options)
      if (request.method === 'OPTIONS' && this.#options.cors !== false) {
        this.#preflight(request, response)
        return
      }
      checkToken(request, target.query, this.#options)
      await this.#route(request, response, target)
    } catch (thrown) {
      this.#fail(request, response, thrown)
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, target: Target): Promise<void> {
    const { elements, query, host } = target
    const [first = '', ...rest] = elements
    if (first === 'api') {
      await this.#api.handle({ request, response, elements: rest, query, host })
      return
    }
    if (first === '' && rest.length === 0) {
      this.#sendPage(request, response, undefined)
      return
    }
    const list = /^([\da-f]+)\.m3u8?$/i.exec(first)?.[1]
    if (list !== undefined && rest.length === 0) {
      await this.#sendPlaylist(request, response, this.#torrent(list), host)
      return
    }
    if (this.#catalog.only !== undefined && /^\d{1,9}$/.test(first) && rest.length === 0) {
      await this.#sendFile(request, response, this.#catalog.only, Number(first), query)
      return
    }
    const torrent = this.#torrent(first)
    if (rest.length === 0 || (rest.length === 1 && rest[0] === '')) {
      this.#sendPage(request, response, torrent)
      return
    }
    if (torrent.status === 'metadata')
      throw new HttpError(503, 'the files are not known yet', { 'retry-after': '2' })
    // No file name contains a slash, so an encoded one matches nothing.
    const path = rest.some((element) => element.includes('/')) ? '' : rest.join('/')
    await this.#sendFile(request, response, torrent, await this.#catalog.indexOf(torrent, path), query)
  }

  async #sendFile(
    request: IncomingMessage,
    response: ServerResponse,
    torrent: Torrent,
    index: number | undefined,
    query: URLSearchParams
  ): Promise<void> {
    const file = index === undefined ? undefined : torrent.files[index]
    if (file === undefined || index === undefined)
      throw new HttpError(404, 'there is no such file in the torrent')
    this.#share(response)
    allowMethods(request, this.#readable())
    if (torrent.status === 'error' || torrent.status === 'closed') {
      throw new HttpError(
        503,
        torrent.status === 'error' ? 'the torrent has failed' : 'the torrent is closed'
      )
    }
    const target = { torrent, file, index, download: query.has('download') }
    await sendFile(request, response, target, this.#admission.readers)
  }

  async #sendPlaylist(
    request: IncomingMessage,
    response: ServerResponse,
    torrent: Torrent,
    host: string | undefined
  ): Promise<void> {
    this.#share(response)
    allowMethods(request, this.#readable())
    this.#admission.admitRequest(request, response)
    const { localAddress = loopback, localPort = 80 } = request.socket
    const own = localAddress.includes(':') ? `[${localAddress}]` : localAddress
    const base = `http://${host ?? `${own}:${localPort}`}`
    const files = await playlistFiles(torrent)
    await respondInParts(request, response, playlist(torrent, files, base, this.#links), {
      'content-type': 'audio/x-mpegurl; charset=utf-8',
      'content-disposition': `inline; filename="${torrent.infoHash}.m3u"`
    })
  }

  #sendPage(request: IncomingMessage, response: ServerResponse, torrent: Torrent | undefined): void {
    if (!this.#options.page) throw new HttpError(404, 'there is no page here')
    allowMethods(request, readMethods)
    this.#admission.admitRequest(request, response)
    const { html, headers } = loadPage()
    respond(request, response, 200, html(this.#catalog.torrents, torrent, this.#links), headers)
  }

  #torrent(infoHash: string): Torrent {
    const torrent = this.#catalog.get(infoHash)
    if (torrent === undefined) throw new HttpError(404, 'there is no such torrent here')
    return torrent
  }

  #commonHeaders(): OutgoingHttpHeaders {
    return {
      'x-content-type-options': 'nosniff',
      // The token is in the URLs.
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': this.#options.cors === false ? 'same-origin' : 'cross-origin'
    }
  }

  #readable(): readonly string[] {
    return this.#options.cors === false ? readMethods : [...readMethods, 'OPTIONS']
  }

  /** Sets CORS headers for the origin of the option `cors`. */
  #share(response: ServerResponse): void {
    const { cors } = this.#options
    if (cors === false) return
    response.setHeader('access-control-allow-origin', cors)
    response.setHeader(
      'access-control-expose-headers',
      'accept-ranges, content-disposition, content-length, content-range, etag'
    )
  }

  #preflight(request: IncomingMessage, response: ServerResponse): void {
    this.#share(response)
    response.setHeader('access-control-allow-methods', 'GET, HEAD')
    response.setHeader(
      'access-control-allow-headers',
      'authorization, if-match, if-none-match, if-range, range'
    )
    response.setHeader('access-control-max-age', '86400')
    if (request.headers['access-control-request-private-network'] === 'true') {
      response.setHeader('access-control-allow-private-network', 'true')
    }
    response.writeHead(204, { allow: this.#readable().join(', ') }).end()
  }

  #fail(request: IncomingMessage, response: ServerResponse, thrown: unknown): void {
    const error = asError(thrown)
    if (log.enabled) log('%s %s: %s', request.method, request.url?.split('?')[0], error.message)
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    const status = error instanceof HttpError ? error.status : 500
    const headers = error instanceof HttpError ? { ...error.headers } : {}
    // Do not read the rest of a long body; close the connection instead.
    const bodyBytes = Number(request.headers['content-length'] ?? 0)
    if (hasBody(request) && !(bodyBytes > 0 && bodyBytes <= mostUnreadBytes)) headers['connection'] = 'close'
    respondText(
      request,
      response,
      status,
      error instanceof HttpError ? error.message : 'internal server error',
      headers
    )
  }
}
