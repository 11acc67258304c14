import type { Client, Torrent } from '../index.ts'
import { asError } from '../util/errors.ts'
import { addTorrent, parseJson } from './add-torrent.ts'
import type { Admission } from './admission.ts'
import type { ApiRequest } from './api-request.ts'
import type { Catalog } from './catalog.ts'
import type { EventStreams } from './event-streams.ts'
import { checkIntent, mayChange } from './guard.ts'
import { allowMethods, HttpError, jsonHeaders, respondInParts, respondJson } from './respond.ts'
import type { CheckedOptions } from './server-options.ts'
import { dhtNodes, listFiles, summarise } from './snapshot.ts'

/** The HTTP API of the page: lists, events and changes. */
export class Api {
  readonly #catalog: Catalog
  readonly #options: CheckedOptions
  readonly #events: EventStreams
  readonly #admission: Admission

  constructor(catalog: Catalog, options: CheckedOptions, events: EventStreams, admission: Admission) {
    this.#catalog = catalog
    this.#options = options
    this.#events = events
    this.#admission = admission
  }

  /** Answers a request. @throws HttpError */
  async handle(asked: ApiRequest): Promise<void> {
    const { request, response, elements, query } = asked
    const [what, infoHash, action, ...more] = elements
    if (what === 'events' && infoHash === undefined) {
      allowMethods(request, ['GET', 'HEAD'])
      await this.#events.open(request, response, query.get('torrent') ?? undefined)
      return
    }
    if (what !== 'torrents' || more.length > 0) throw new HttpError(404, 'the API has no such resource')
    this.#admission.admitRequest(request, response)
    if (infoHash === undefined || infoHash === '') {
      allowMethods(request, this.#catalog.client === undefined ? ['GET', 'HEAD'] : ['GET', 'HEAD', 'POST'])
      if (request.method === 'POST') await this.#add(asked)
      else await this.#list(asked)
      return
    }
    const torrent = this.#catalog.get(infoHash)
    if (torrent === undefined) throw new HttpError(404, 'there is no such torrent here')
    if (action === undefined) await this.#torrent(asked, torrent)
    else await this.#change(asked, torrent, action)
  }

  async #list({ request, response }: ApiRequest): Promise<void> {
    const { client, torrents } = this.#catalog
    const { readOnly } = this.#options
    const canAdd = client !== undefined && !readOnly
    const nodes = JSON.stringify(dhtNodes(client))
    const parts = function* (): Generator<string, void, void> {
      yield `{"readOnly":${readOnly},"canAdd":${canAdd},"dhtNodes":${nodes},"torrents":[`
      for (const [at, torrent] of torrents.entries())
        yield (at === 0 ? '' : ',') + JSON.stringify(summarise(torrent))
      yield ']}'
    }
    await respondInParts(request, response, parts(), jsonHeaders)
  }

  async #add(asked: ApiRequest): Promise<void> {
    const { request, response, host } = asked
    checkIntent(request, host, this.#options)
    const torrent = await addTorrent(this.#client(), asked, this.#options, this.#admission, (error) =>
      this.#events.notice(error.message)
    )
    respondJson(request, response, 201, summarise(torrent), { location: `/${torrent.infoHash}/` })
  }

  async #torrent({ request, response, query, host }: ApiRequest, torrent: Torrent): Promise<void> {
    allowMethods(request, this.#catalog.client === undefined ? ['GET', 'HEAD'] : ['GET', 'HEAD', 'DELETE'])
    if (request.method === 'DELETE') {
      checkIntent(request, host, this.#options)
      const deleteFiles = /^(?:1|true)$/.test(query.get('deleteFiles') ?? '')
      await this.#client().remove(torrent, { deleteFiles })
      respondJson(request, response, 200, {})
      return
    }
    respondJson(request, response, 200, {
      ...summarise(torrent),
      // Tracker URLs may contain passkeys.
      ...(mayChange(request, host, this.#options) ? { magnetURI: torrent.magnetURI } : {}),
      fileCount: torrent.files.length,
      files: listFiles(torrent)
    })
  }

  async #change({ request, response, host }: ApiRequest, torrent: Torrent, action: string): Promise<void> {
    if (!/^(?:pause|resume|select)$/.test(action))
      throw new HttpError(404, `a torrent has no action '${action}': use pause, resume or select`)
    allowMethods(request, ['POST'])
    checkIntent(request, host, this.#options)
    if (action === 'pause') torrent.pause()
    else if (action === 'resume') torrent.resume()
    else {
      const { bodies, limits } = this.#admission
      const body = await bodies.read(request, response, limits.selectionBytes)
      select(torrent, parseJson(body.toString()))
    }
    respondJson(request, response, 200, summarise(torrent))
  }

  #client(): Client {
    if (this.#catalog.client === undefined)
      throw new HttpError(403, 'this server serves one torrent, so none can be added or removed')
    return this.#catalog.client
  }
}

function select(torrent: Torrent, { files, selected = true, priority }: Record<string, unknown>): void {
  if (torrent.status === 'metadata') throw new HttpError(409, 'the files are not known yet')
  const indices = files === 'all' ? torrent.files.map((_, index) => index) : files
  if (!Array.isArray(indices) || !indices.every(isIndex))
    throw new HttpError(400, "files must be 'all' or a list of indices")
  if (typeof selected !== 'boolean') throw new HttpError(400, 'selected must be true or false')
  if (priority !== undefined && typeof priority !== 'number')
    throw new HttpError(400, 'priority must be a number from 1 to 7')
  try {
    if (selected) torrent.select(indices, priority)
    else torrent.deselect(indices)
  } catch (thrown) {
    throw new HttpError(400, asError(thrown).message)
  }
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}
