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

/** The parts that a {@link TorrentAdder} works with. */
export interface TorrentAdderOptions {
  readonly registry: Registry
  /** Undefined when the client remembers nothing. */
  readonly stateFolder: StateFolder | undefined
  /** Resolves when torrents may begin. */
  readonly listening: Promise<void>
  /** Where the client's options have data and records lie. */
  readonly folders: Pick<ClientOptions, 'path' | 'state'>
  /** Folders of data for which none was chosen. */
  readonly defaults: DefaultFolders
  /** Throws once the client is closed. */
  checkOpen(): void
  readonly onWarning: (warning: Error) => void
}

/** Facts that `seed` knows of a torrent beyond the options of `add`. */
export type SeedingInit = Pick<TorrentInit, 'complete' | 'filePaths'>

/** Takes torrents into a client's registry: new ones, ones that are here already, and ones that an earlier run has left. */
export class TorrentAdder {
  readonly #options: TorrentAdderOptions

  constructor(options: TorrentAdderOptions) {
    this.#options = options
  }

  /**
   * Adds what a source tells of, unless it is here: then peers and trackers are merged into it. Resolves when its files are known.
   * @throws TorrentError when the client is closed meanwhile or the storage cannot be opened; the signal's reason.
   */
  async begin(resolved: ResolvedSource, options: AddOptions, seeding: SeedingInit = {}): Promise<Torrent> {
    const { registry, stateFolder, listening, folders, checkOpen, onWarning } = this.#options
    await Promise.all([listening, stateFolder?.listed])
    checkOpen()
    const { infoHashes, metainfo } = resolved
    const infoHash = hashKey(infoHashes)
    let known = registry.get(infoHash)
    for (let end = registry.endOf(known); end !== undefined; end = registry.endOf(known)) {
      // Its files and its record are its own until it has ended.
      await abortable(end, options.signal)
      checkOpen()
      known = registry.get(infoHash)
    }
    let saved = stateFolder?.list?.takeBack(infoHash)
    const claimed = known !== undefined && stateFolder?.restoration?.claims(known) === true
    if (known !== undefined && claimed && reopens(known, options)) {
      // The next run has it also when this comes to nothing.
      stateFolder?.list?.setAside(known.save())
      await abortable(known.close(), options.signal)
      checkOpen()
      known = registry.get(infoHash)
      saved = stateFolder?.list?.takeBack(infoHash)
    }
    if (known !== undefined) {
      if (options.overwrite === true) known.allowOverwriting()
      merge(known, resolved, options)
      if (metainfo !== undefined) await known.learn(metainfo)
      await registry.ready(known, options.signal)
      const torrent = registry.torrentOf(known)
      if (claimed) adjust(torrent, options)
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
    // A custom storage and files that are seeded where they are get no record unless a folder for it is named.
    const recordless = options.storage !== undefined || seeding.complete === true
    const state = folders.state ?? (recordless ? undefined : await recordsBeside(folder, onWarning))
    checkOpen()
    if (registry.get(infoHash) !== undefined) {
      // Another caller has added it meanwhile.
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
      // A storage may take forever to open; others may still wait for it.
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
      // The caller that closed it decides what becomes of it.
      const isFault = torrent.status !== 'closed'
      await torrent.close()
      if (saved !== undefined && isFault) this.#options.stateFolder?.list?.setAside(saved)
      throw thrown
    }
  }

  /** The folder of a torrent for which none was chosen; with data that lie elsewhere only its name. */
  async #defaultFolder(
    infoHash: string,
    saved: SavedTorrent | undefined,
    elsewhere: boolean
  ): Promise<string> {
    const { defaults } = this.#options
    return elsewhere ? defaults.name(infoHash) : defaults.find(infoHash, saved?.path)
  }
}

/** Gives peers and trackers to a torrent that is here already. */
function merge(session: TorrentSession, resolved: ResolvedSource, options: AddOptions): void {
  session.addPeers(resolved.peers, 'remote')
  session.addPeers(options.peers ?? [], options.trust)
  session.addTrackers(resolved.trackers, 'remote')
  session.addTrackers(options.trackers ?? [], options.trust)
}
