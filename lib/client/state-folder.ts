import path from 'node:path'
import type { RecordKey } from '../storage/record-key.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import type { Restoration, RestorationOptions } from './restoration.ts'
import type { SavedList } from './saved-list.ts'

/** Dependencies of a {@link StateFolder}. */
export interface StateFolderOptions extends RestorationOptions {
  /** The client's option `path`: its data folder. */
  readonly path: string | undefined
  /** Signs the list of torrents if the state folder is inside a data folder. */
  readonly key: RecordKey
}

/**
 * The state folder of a client: restores its torrents and saves them for the next run. Imports its modules only on construction, because
 * most programs use no state folder. Callers that change the list of torrents wait for `listed` first.
 */
export class StateFolder {
  /** Resolves when the torrents of the last run are in the registry. */
  readonly listed: Promise<void>
  #list: SavedList | undefined
  #restoration: Restoration | undefined
  #closed = false

  /** Starts to restore at once. `folder` is the state folder. */
  constructor(folder: string, options: StateFolderOptions) {
    this.listed = this.#open(path.resolve(folder), options)
    // Avoids an unhandled rejection; callers that await it get the error.
    this.listed.catch(() => {})
  }

  /** Resolves with the restored torrents once they are open; see `Restoration.torrents`. */
  async restored(): Promise<readonly TorrentSession[]> {
    await this.listed
    return (await this.#restoration?.torrents()) ?? []
  }

  /** The restoration of the last run's torrents; undefined until its module is loaded. */
  get restoration(): Restoration | undefined {
    return this.#restoration
  }

  /** The saved list of torrents; undefined until its module is loaded. */
  get list(): SavedList | undefined {
    return this.#list
  }

  /** Stops restoring; resolves when no more torrents are entered. Idempotent. */
  async endRestoring(): Promise<void> {
    this.#closed = true
    this.#restoration?.close()
    await this.listed
  }

  async #open(folder: string, options: StateFolderOptions): Promise<void> {
    const [{ SavedList }, { SavedTorrentsTrust }, { Restoration }] = await Promise.all([
      import('./saved-list.ts'),
      import('./saved-torrents-trust.ts'),
      import('./restoration.ts')
    ])
    // Nothing was read, so there is nothing to save.
    if (this.#closed) return
    const { registry, warning, key } = options
    const torrents = (): readonly TorrentSession[] => registry.lasting
    const data = options.path === undefined ? undefined : path.resolve(options.path)
    this.#list = new SavedList(folder, new SavedTorrentsTrust({ folder, data, key }), { torrents, warning })
    this.#restoration = new Restoration(this.#list, folder, options)
    await this.#restoration.listed
  }
}
