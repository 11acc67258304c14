import path from 'node:path'
import { hashKey } from '../metainfo/info-hashes.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import type { Torrent } from '../torrent/torrent.ts'
import type { TorrentInit } from '../torrent/torrent-init.ts'
import type { AddOptions } from '../torrent/torrent-options.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import { abortable } from '../util/concurrency.ts'
import { type DefaultFolders, privateMode } from './default-folders.ts'
import type { ClientOptions } from './options.ts'
import { recordsBeside } from './records-beside.ts'
import type { Registry } from './registry.ts'
import { adjust, placeOf, reopens, unheededBy } from './restored-torrent.ts'
import type { ResolvedSource } from './source.ts'
import type { StateFolder } from './state-folder.ts'

/** Dependencies of a {@link TorrentAdder}. */
export interface TorrentAdderOptions {
  readonly registry: Registry
  /** Undefined without a state folder. */
  readonly stateFolder: StateFolder | undefined
  /** Resolves when the client listens, so that torrents can start. */
  readonly listening: Promise<void>
  /** The client's folders for data and resume records. */
  readonly folders: Pick<ClientOptions, 'path' | 'state'>
  /** Finds data folders for torrents without a chosen one. */
  readonly defaults: DefaultFolders
  /** Throws once the client is closed. */
  checkOpen(): void
  readonly onWarning: (warning: Error) => void
}

/** Facts that `seed` passes in addition to the options of `add`. */
export type SeedingInit = Pick<TorrentInit, 'complete' | 'filePaths'>

/** Implements `client.add` for new torrents, torrents that were already added, and restored torrents. */
export class TorrentAdder {
  readonly #options: TorrentAdderOptions

  constructor(options: TorrentAdderOptions) {
    this.#options = options
  }

  /**
   * Adds a torrent, or merges peers and trackers into it if it was already added. Resolves when its files are known.
   * @throws TorrentError if the client is closed meanwhile or the storage cannot be opened; the signal's reason.
   */
  async begin(resolved: ResolvedSource, options: AddOptions, seeding: SeedingInit = {}): Promise<Torrent> {
    const { registry, stateFolder, listening, folders, checkOpen, onWarning } = this.#options
    await Promise.all([listening, stateFolder?.listed])
    checkOpen()
    const { infoHashes, metainfo } = resolved
    const infoHash = hashKey(infoHashes)
    let known = registry.get(infoHash)
    for (let end = registry.endOf(known); end !== undefined; end = registry.endOf(known)) {
      // The torrent that is closing uses its files and its record until then.
      await abortable(end, options.signal)
      checkOpen()
      known = registry.get(infoHash)
    }
    let saved = stateFolder?.list?.removeSetAside(infoHash)
    const isFirstAdd = known !== undefined && stateFolder?.restoration?.markAdded(known) === true
    if (known !== undefined && isFirstAdd && reopens(known, options)) {
      // If this `add` fails, the next run still restores the torrent.
      stateFolder?.list?.setAside(known.save())
      await abortable(known.close(), options.signal)
      checkOpen()
      known = registry.get(infoHash)
      saved = stateFolder?.list?.removeSetAside(infoHash)
    }
    if (known !== undefined) {
      if (options.overwrite === true) known.allowOverwriting()
      merge(known, resolved, options)
      if (metainfo !== undefined) await known.learn(metainfo)
      await registry.ready(known, options.signal)
      const torrent = registry.torrentOf(known)
      if (isFirstAdd) adjust(torrent, options)
      const unheeded = unheededBy(known, options)
      if (unheeded !== undefined) onWarning(unheeded)
      return torrent
    }
    const isDefault =
      options.path === undefined &&
      (saved === undefined ? folders.path === undefined : saved.folderMode !== undefined)
    const chosen = isDefault ? undefined : (options.path ?? saved?.path ?? folders.path)
    const folder =
      chosen === undefined
        ? await this.#defaultFolder(
            infoHash,
            saved,
            options.storage !== undefined || seeding.complete === true
          )
        : path.resolve(chosen)
    // A custom storage and files seeded in place have resume records only in a state folder, never beside the data.
    const recordless = options.storage !== undefined || seeding.complete === true
    const state = folders.state ?? (recordless ? undefined : await recordsBeside(folder, onWarning))
    checkOpen()
    if (registry.get(infoHash) !== undefined) {
      // Another `add` was faster.
      if (saved !== undefined) stateFolder?.list?.setAside(saved)
      return this.begin(resolved, options, seeding)
    }
    const session = registry.enter({
      ...options,
      ...(options.path === undefined ? placeOf(saved) : {}),
      ...seeding,
      overwrite: options.overwrite ?? (options.path === undefined ? saved?.overwrite : undefined),
      infoHashes,
      name: resolved.name,
      announce: resolved.trackers,
      magnetPeers: resolved.peers,
      webSeeds: resolved.webSeeds,
      selectOnly: resolved.selectOnly,
      path: folder,
      ...(isDefault ? { folderMode: privateMode } : {}),
      saved,
      state
    })
    const started = this.#start(session, metainfo, saved)
    try {
      await abortable(started, options.signal)
    } catch (thrown) {
      // The storage may take long to open, so the torrent is closed now, unless other callers wait for it.
      if (registry.isLastWaiting(session)) await session.close()
      throw thrown
    } finally {
      registry.begun(session)
    }
    await registry.ready(session, options.signal)
    return registry.torrentOf(session)
  }

  async #start(
    torrent: TorrentSession,
    metainfo: Metainfo | undefined,
    saved: SavedTorrent | undefined
  ): Promise<void> {
    try {
      await torrent.start(metainfo)
    } catch (thrown) {
      // If the torrent was closed by the user, it is not set aside for the next run.
      const isFault = torrent.status !== 'closed'
      await torrent.close()
      if (saved !== undefined && isFault) this.#options.stateFolder?.list?.setAside(saved)
      throw thrown
    }
  }

  /** Returns the default folder of a torrent; with `elsewhere`, without creating or checking it. */
  async #defaultFolder(
    infoHash: string,
    saved: SavedTorrent | undefined,
    elsewhere: boolean
  ): Promise<string> {
    const { defaults } = this.#options
    return elsewhere ? defaults.name(infoHash) : defaults.find(infoHash, saved?.path)
  }
}

/** Adds peers and trackers to a torrent that was already added. */
function merge(session: TorrentSession, resolved: ResolvedSource, options: AddOptions): void {
  session.addPeers(resolved.peers, 'remote')
  session.addPeers(options.peers ?? [], options.trust)
  session.addTrackers(resolved.trackers, 'remote')
  session.addTrackers(options.trackers ?? [], options.trust)
}
