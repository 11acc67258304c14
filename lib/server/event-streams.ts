import type { IncomingMessage, ServerResponse } from 'node:http'
import { HttpError } from './respond.ts'
import type { Shelf } from './shelf.ts'
import { detail, dhtNodes, summarise } from './snapshot.ts'

const everyMs = 1000
/** Pages that watch at once; each costs a snapshot a second. */
const mostWatchers = 32

/**
 * Server-sent events for the page: `torrents` with all summaries and `dht` with its size about once a second, `detail` with the torrent that a watcher looks at, and
 * `notice` with a sentence for people. Whoever reads too slowly misses some.
 */
export class EventStreams {
  readonly #shelf: Shelf
  readonly #watchers = new Map<ServerResponse, string | undefined>()
  #timer: NodeJS.Timeout | undefined

  constructor(shelf: Shelf) {
    this.#shelf = shelf
  }

  /**
   * Begins a stream, with the detail of the torrent `infoHash` if given. Resolves when it is over.
   * @throws HttpError 503 when too many watch.
   */
  async open(
    request: IncomingMessage,
    response: ServerResponse,
    infoHash: string | undefined
  ): Promise<void> {
    if (this.#watchers.size >= mostWatchers) {
      throw new HttpError(503, `${mostWatchers} pages watch already`, { 'retry-after': '10' })
    }
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no'
    })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    const over = new Promise<void>((resolve) => response.once('close', resolve))
    this.#watchers.set(response, infoHash)
    this.#timer ??= setInterval(() => this.#tick(), everyMs)
    response.write('retry: 2000\n\n')
    this.#tell([[response, infoHash]])
    await over
    this.#watchers.delete(response)
    if (this.#watchers.size === 0) this.#stop()
  }

  /** Tells all watchers a sentence. */
  notice(text: string): void {
    const event = format('notice', text)
    for (const response of this.#watchers.keys()) if (!response.writableNeedDrain) response.write(event)
  }

  /** Ends all streams. */
  close(): void {
    this.#stop()
    for (const response of this.#watchers.keys()) response.destroy()
    this.#watchers.clear()
  }

  #tick(): void {
    this.#tell(this.#watchers)
  }

  #tell(watchers: Iterable<[ServerResponse, string | undefined]>): void {
    const summaries = format('torrents', this.#shelf.torrents.map(summarise))
    const nodes = dhtNodes(this.#shelf.client)
    const network = nodes === null ? '' : format('dht', { nodes })
    const details = new Map<string, string>()
    for (const [response, infoHash] of watchers) {
      if (response.writableNeedDrain) continue
      response.write(summaries + network)
      const torrent = infoHash === undefined ? undefined : this.#shelf.get(infoHash)
      if (torrent === undefined) continue
      let event = details.get(torrent.infoHash)
      if (event === undefined) details.set(torrent.infoHash, (event = format('detail', detail(torrent))))
      response.write(event)
    }
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** One event; JSON has no line breaks of its own. */
function format(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
