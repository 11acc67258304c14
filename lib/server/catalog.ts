import { type Client, type Torrent, TorrentError, type TorrentFile } from '../index.ts'
import { show } from '../util/show.ts'
import { runStepsInSlices, type Steps } from '../util/slices.ts'
import { encodeElement, wellFormed } from './disposition.ts'

/** Files that are processed before yielding to the event loop. */
export const filesOfStep = 256

/** The catalog: the torrents of a client, or one torrent. */
export class Catalog {
  /** The client, if torrents can be added and removed. */
  readonly client: Client | undefined
  readonly #torrent: Torrent | undefined
  readonly #paths = new WeakMap<readonly TorrentFile[], Promise<Map<string, number>>>()

  /** @throws TorrentError ERR_SERVER_OPTION when the source is neither a client nor a torrent. */
  constructor(source: Client | Torrent) {
    if (isClient(source)) this.client = source
    else if (isTorrent(source)) this.#torrent = source
    else throw new TorrentError('ERR_SERVER_OPTION', `${show(source)} is neither a Client nor a Torrent`)
  }

  /** All torrents, in the order of the client's list. */
  get torrents(): readonly Torrent[] {
    return this.#torrent === undefined ? (this.client?.torrents ?? []) : [this.#torrent]
  }

  /** The torrent, if the server serves only one; undefined if it serves a client. */
  get only(): Torrent | undefined {
    return this.#torrent
  }

  /** Returns the torrent with this info hash in hexadecimal, in any case. */
  get(infoHash: string): Torrent | undefined {
    const hash = infoHash.toLowerCase()
    return this.client?.get(hash) ?? (this.#torrent?.infoHash === hash ? this.#torrent : undefined)
  }

  /** Returns the index of the file at a path, elements joined by `/`. */
  async indexOf({ files }: Torrent, path: string): Promise<number | undefined> {
    let paths = this.#paths.get(files)
    if (paths === undefined) this.#paths.set(files, (paths = runStepsInSlices(pathSteps(files))))
    return (await paths).get(path)
  }
}

function* pathSteps(files: readonly TorrentFile[]): Steps<Map<string, number>> {
  const paths = new Map<string, number>()
  for (const [index, file] of files.entries()) {
    if (index % filesOfStep === 0) yield
    paths.set(wellFormed(file.path), index)
  }
  return paths
}

export function urlPath(torrent: Torrent, file?: TorrentFile): string {
  const elements = file === undefined ? [''] : file.path.split('/').map(encodeElement)
  return `/${torrent.infoHash}/${elements.join('/')}`
}

// Duck typing instead of instanceof: test runners may load the library twice, with two classes of each name.
function isClient(value: unknown): value is Client {
  return hasAll(value, ['torrents', 'add', 'restored'])
}

function isTorrent(value: unknown): value is Torrent {
  return hasAll(value, ['infoHash', 'files', 'streams'])
}

function hasAll(value: unknown, names: readonly string[]): boolean {
  return typeof value === 'object' && value !== null && names.every((name) => name in value)
}
