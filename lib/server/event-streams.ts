import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Admission } from './admission.ts'
import type { Catalog } from './catalog.ts'
import { detail, dhtNodes } from './snapshot.ts'
import { Summaries } from './summaries.ts'

interface Watcher {
  readonly response: ServerResponse
  /** The torrent that the watcher gets details of. */
  readonly infoHash: string | undefined
  /** Whether the watcher got the previous summaries, so that changes are enough. */
  isUpToDate: boolean
}

/** The state of all torrents at one time, shared by all watchers. */
interface News {
  /** Returns the events for a new watcher. */
  all(): Buffer
  /** The events for a watcher that got the previous news. */
  readonly changed: Buffer
  /** The `detail` event of each watched torrent, created on first use. */
  readonly details: Map<string, Buffer>
}

/**
 * Server-sent events for the page, about once a second. `torrents` has all summaries, at first and when the list changed; `changed`
 * has only those that changed; `dht` the number of DHT nodes; `detail` the torrent that a watcher looks at. `notice` is a sentence
 * for users. A client that reads too slowly misses some events.
 */
export class EventStreams {
  readonly #catalog: Catalog
  readonly #admission: Admission
  readonly #summaries: Summaries
  readonly #watchers = new Set<Watcher>()
  /** Number of open streams, those that wait for their first news included. */
  #open = 0
  #news: Promise<News> | undefined
  #isLooking = false
  #timer: NodeJS.Timeout | undefined

  constructor(catalog: Catalog, admission: Admission) {
    this.#catalog = catalog
    this.#admission = admission
    this.#summaries = new Summaries(catalog)
  }

  /**
   * Opens a stream, with the details of the torrent `infoHash` if given. Resolves when it is closed.
   * @throws HttpError 503 when too many are open.
   */
  async open(
    request: IncomingMessage,
    response: ServerResponse,
    infoHash: string | undefined
  ): Promise<void> {
    const isHead = request.method === 'HEAD'
    if (!isHead) this.#admission.admitWatcher(request, response)
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no'
    })
    if (isHead) {
      response.end()
      return
    }
    const over = new Promise<void>((resolve) => response.once('close', resolve))
    const watcher = { response, infoHash, isUpToDate: false }
    this.#timer ??= setInterval(() => void this.#tick(), this.#admission.limits.newsMs)
    this.#open++
    response.write('retry: 2000\n\n')
    // A watcher that arrives between two ticks gets the latest news.
    this.#news ??= this.#look()
    this.#tell(watcher, await this.#news)
    if (!response.destroyed) {
      this.#watchers.add(watcher)
      await over
      this.#watchers.delete(watcher)
    }
    if (--this.#open === 0) this.#stop()
  }

  /** Sends a sentence for users to all watchers. */
  notice(text: string): void {
    const event = format('notice', JSON.stringify(text))
    for (const { response } of this.#watchers) if (!response.writableNeedDrain) response.write(event)
  }

  close(): void {
    this.#stop()
    for (const { response } of this.#watchers) response.destroy()
    this.#watchers.clear()
  }

  async #tick(): Promise<void> {
    if (this.#isLooking) return
    this.#news = this.#look()
    const news = await this.#news
    for (const watcher of this.#watchers) this.#tell(watcher, news)
  }

  async #look(): Promise<News> {
    this.#isLooking = true
    const { all, changed } = await this.#summaries.look().finally(() => {
      this.#isLooking = false
    })
    // The last watcher left meanwhile.
    if (this.#timer === undefined) this.#news = undefined
    const nodes = dhtNodes(this.#catalog.client)
    const network = nodes === null ? '' : format('dht', JSON.stringify({ nodes }))
    let whole: Buffer | undefined
    const makeAll = (): Buffer => (whole ??= Buffer.from(format('torrents', all()) + network))
    return {
      all: makeAll,
      changed: changed === undefined ? makeAll() : Buffer.from(format('changed', changed) + network),
      details: new Map()
    }
  }

  #tell(watcher: Watcher, { all, changed, details }: News): void {
    const { response, infoHash, isUpToDate } = watcher
    watcher.isUpToDate = !response.writableNeedDrain
    if (!watcher.isUpToDate) return
    response.write(isUpToDate ? changed : all())
    const torrent = infoHash === undefined ? undefined : this.#catalog.get(infoHash)
    if (torrent === undefined) return
    let event = details.get(torrent.infoHash)
    if (event === undefined) {
      event = Buffer.from(format('detail', JSON.stringify(detail(torrent))))
      details.set(torrent.infoHash, event)
    }
    response.write(event)
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    if (!this.#isLooking) this.#news = undefined
  }
}

/** Formats one event; JSON contains no line breaks. */
function format(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`
}
