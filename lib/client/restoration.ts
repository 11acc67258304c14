import { hashesOfKey } from '../metainfo/info-hashes.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import type { TorrentInit } from '../torrent/torrent-init.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import { type Deferred, deferred } from '../util/concurrency.ts'
import { asError, TorrentError, warnProcess } from '../util/errors.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { shareTurn } from '../util/turn-share.ts'
import type { DefaultFolders } from './default-folders.ts'
import type { Registry } from './registry.ts'
import { placeOf } from './restored-torrent.ts'
import type { SavedList } from './saved-list.ts'

/** Torrents of the last run that are opened at the same time. */
const opensAtOnce = 16

/** The parts that a {@link Restoration} works with. */
export interface RestorationEvents {
  /** Gets the torrents. */
  readonly registry: Registry
  /** Finds the folder of data for which none was chosen. */
  readonly defaults: DefaultFolders
  /** Resolves when torrents may begin. */
  readonly listening: Promise<void>
  warning(error: Error): void
}

/** Brings the torrents of the last run back: first all into the list, then each to life. */
export class Restoration {
  /** Resolves when the torrents are in the list. */
  readonly listed: Promise<void>
  readonly #list: SavedList
  readonly #state: string
  readonly #events: RestorationEvents
  readonly #opened: Deferred<void> = deferred()
  /** Torrents that were brought back, and not added since. */
  readonly #unclaimed = new Set<TorrentSession>()
  #closed = false

  /** Begins at once; `state` is the folder of the resume records. */
  constructor(session: SavedList, state: string, events: RestorationEvents) {
    this.#list = session
    this.#state = state
    this.#events = events
    this.listed = this.#run()
  }

  /** Resolves when each torrent is open, has failed, or waits for its metadata; with those that are here and were not added since. */
  async torrents(): Promise<readonly TorrentSession[]> {
    await this.#opened.promise
    return [...this.#unclaimed].filter((torrent) => !isClosed(torrent))
  }

  /** A torrent that is here is added: whether that is the first time since it was brought back. */
  claims(torrent: TorrentSession): boolean {
    return this.#unclaimed.delete(torrent)
  }

  /** Opens no more; idempotent. */
  close(): void {
    this.#closed = true
    this.#opened.resolve()
  }

  async #run(): Promise<void> {
    const savedTorrents = await this.#list.open()
    if (this.#closed) {
      for (const saved of savedTorrents) this.#list.setAside(saved)
      return
    }
    const torrents: TorrentSession[] = []
    const opened: SavedTorrent[] = []
    for (const saved of savedTorrents) {
      const turn = shareTurn()
      if (turn !== undefined) await turn
      if (this.#closed) {
        this.#list.setAside(saved)
        continue
      }
      const path = await this.#pathOf(saved)
      if (path === undefined || this.#closed) {
        this.#list.setAside(saved)
        continue
      }
      const torrent = this.#events.registry.enter({ ...initOf(saved), path, state: this.#state })
      torrents.push(torrent)
      opened.push(saved)
      this.#unclaimed.add(torrent)
    }
    void this.#events.listening
      .then(() => forEachLimit(torrents.length, opensAtOnce, (n) => this.#open(torrents[n], opened[n])))
      // The fault of a listener is all that may come here, and must not keep anybody waiting.
      .catch((thrown) => warnProcess(asError(thrown)))
      .then(() => this.#opened.resolve())
  }

  /** Begins a torrent; one that cannot begin stays for the next run. Never rejects. */
  async #open(torrent: TorrentSession | undefined, saved: SavedTorrent | undefined): Promise<void> {
    if (torrent === undefined || saved === undefined || isClosed(torrent) || this.#closed) return
    try {
      await torrent.start(undefined)
      // The metadata of a torrent that was added meanwhile may have come by that.
      if (torrent.data.content !== undefined && this.#unclaimed.has(torrent)) this.#list.isKept(torrent)
      if (torrent.data.content === undefined) void this.#await(torrent, saved)
    } catch (thrown) {
      if (this.#closed || isClosed(torrent)) return
      this.#setAside(torrent, saved, thrown)
      await torrent.close()
    } finally {
      this.#events.registry.begun(torrent)
    }
  }

  /** Waits for the files of a torrent, so that another who gives up does not end it. Never rejects. */
  async #await(torrent: TorrentSession, saved: SavedTorrent): Promise<void> {
    try {
      await this.#events.registry.ready(torrent)
    } catch (thrown) {
      // A torrent that was closed is wanted no more.
      if (this.#closed || (thrown instanceof TorrentError && thrown.code === 'ERR_TORRENT_CLOSED')) return
      this.#setAside(torrent, saved, thrown)
    }
  }

  /** The folder of the data; undefined, with a warning, when there is none. A folder in a place where others may write is looked at again. */
  async #pathOf(saved: SavedTorrent): Promise<string | undefined> {
    if (saved.folderMode === undefined) return saved.path
    try {
      return await this.#events.defaults.find(saved.infoHash, saved.path)
    } catch (thrown) {
      this.#warn(saved.name ?? saved.infoHash, saved, thrown)
      return undefined
    }
  }

  #setAside(torrent: TorrentSession, saved: SavedTorrent, thrown: unknown): void {
    this.#list.setAside(saved)
    this.#warn(torrent.metadata.name, saved, thrown)
  }

  #warn(name: string, saved: SavedTorrent, thrown: unknown): void {
    const cause = asError(thrown)
    const message = `${name} cannot be brought back for now: ${cause.message}`
    this.#events.warning(
      new TorrentError('ERR_CLIENT_STATE', message, { cause, details: { infoHash: saved.infoHash } })
    )
  }
}

function isClosed({ status }: TorrentSession): boolean {
  return status === 'closed'
}

function initOf(saved: SavedTorrent): Omit<TorrentInit, 'state'> {
  const { infoHash, infoHashV2, name, path } = saved
  return {
    infoHashes: hashesOfKey(infoHash, infoHashV2),
    name,
    announce: saved.trackers,
    peers: saved.peers,
    paused: saved.paused,
    seedRatio: saved.seedRatio,
    seedTime: saved.seedTime,
    downloadLimit: saved.downloadLimit,
    uploadLimit: saved.uploadLimit,
    superSeeding: saved.superSeeding,
    overwrite: saved.overwrite,
    path,
    ...placeOf(saved),
    saved
  }
}
