import { hashesOfKey } from '../metainfo/info-hashes.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import type { TorrentInit } from '../torrent/torrent-init.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import { type Deferred, deferred } from '../util/concurrency.ts'
import { asError, TorrentError, warnProcess } from '../util/errors.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { yieldToEventLoop } from '../util/slices.ts'
import type { DefaultFolders } from './default-folders.ts'
import type { Registry } from './registry.ts'
import { placeOf } from './restored-torrent.ts'
import type { SavedList } from './saved-list.ts'

/** Number of restored torrents that are opened at a time. */
const opensAtOnce = 16

/** Dependencies of a {@link Restoration}. */
export interface RestorationOptions {
  readonly registry: Registry
  /** Finds data folders for torrents without a chosen one. */
  readonly defaults: DefaultFolders
  /** Resolves when the client listens, so that torrents can start. */
  readonly listening: Promise<void>
  warning(error: Error): void
}

/** Restores the torrents of the last run: first enters all of them into the registry, then opens each. */
export class Restoration {
  /** Resolves when all restored torrents are in the registry. */
  readonly listed: Promise<void>
  readonly #list: SavedList
  readonly #state: string
  readonly #options: RestorationOptions
  readonly #opened: Deferred<void> = deferred()
  /** Restored torrents that `add` was not called for yet. */
  readonly #notAdded = new Set<TorrentSession>()
  #closed = false

  /** Starts at once. `state` is the folder of the resume records. */
  constructor(list: SavedList, state: string, options: RestorationOptions) {
    this.#list = list
    this.#state = state
    this.#options = options
    this.listed = this.#run()
  }

  /** Resolves once each torrent is open, has failed, or waits for its metadata. Omits closed ones, and those that `add` was called for. */
  async torrents(): Promise<readonly TorrentSession[]> {
    await this.#opened.promise
    return [...this.#notAdded].filter((torrent) => !isClosed(torrent))
  }

  /** Marks a torrent as added; returns whether this is the first `add` since it was restored. */
  markAdded(torrent: TorrentSession): boolean {
    return this.#notAdded.delete(torrent)
  }

  /** Stops opening torrents. Idempotent. */
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
      const pause = yieldToEventLoop()
      if (pause !== undefined) await pause
      if (this.#closed) {
        this.#list.setAside(saved)
        continue
      }
      const path = await this.#pathOf(saved)
      if (path === undefined || this.#closed) {
        this.#list.setAside(saved)
        continue
      }
      const torrent = this.#options.registry.enter({ ...initOf(saved), path, state: this.#state })
      torrents.push(torrent)
      opened.push(saved)
      this.#notAdded.add(torrent)
    }
    void this.#options.listening
      .then(() => forEachLimit(torrents.length, opensAtOnce, (n) => this.#open(torrents[n], opened[n])))
      // Only a listener can throw here. Callers of `torrents` must not wait forever because of it.
      .catch((thrown) => warnProcess(asError(thrown)))
      .then(() => this.#opened.resolve())
  }

  /** Starts a torrent. One that fails is closed and stays in the saved list for the next run. Never rejects. */
  async #open(torrent: TorrentSession | undefined, saved: SavedTorrent | undefined): Promise<void> {
    if (torrent === undefined || saved === undefined || isClosed(torrent) || this.#closed) return
    try {
      await torrent.start(undefined)
      // If `add` was called meanwhile, its metadata may not come from the state folder.
      if (torrent.data.content !== undefined && this.#notAdded.has(torrent)) this.#list.markKept(torrent)
      if (torrent.data.content === undefined) void this.#await(torrent, saved)
    } catch (thrown) {
      if (this.#closed || isClosed(torrent)) return
      this.#setAside(torrent, saved, thrown)
      await torrent.close()
    } finally {
      this.#options.registry.begun(torrent)
    }
  }

  /** Waits for a torrent's files, so that an aborted `add` does not close it. Never rejects. */
  async #await(torrent: TorrentSession, saved: SavedTorrent): Promise<void> {
    try {
      await this.#options.registry.ready(torrent)
    } catch (thrown) {
      // The user has closed or removed it.
      if (this.#closed || (thrown instanceof TorrentError && thrown.code === 'ERR_TORRENT_CLOSED')) return
      this.#setAside(torrent, saved, thrown)
    }
  }

  /** Returns the data folder, or undefined with a warning. Default folders are checked again, since other users may have created them. */
  async #pathOf(saved: SavedTorrent): Promise<string | undefined> {
    if (saved.folderMode === undefined) return saved.path
    try {
      return await this.#options.defaults.find(saved.infoHash, saved.path)
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
    const message = `${name} cannot be restored in this run: ${cause.message}`
    this.#options.warning(
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
