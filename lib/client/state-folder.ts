import path from 'node:path'
import type { RecordKey } from '../storage/record-key.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import type { Restoration, RestorationEvents } from './restoration.ts'
import type { SavedList } from './saved-list.ts'

/** The parts that a {@link StateFolder} works with. */
export interface StateFolderEvents extends RestorationEvents {
  /** The client's folder for data. */
  readonly path: string | undefined
  /** Signs the list of torrents when the state folder lies inside data. */
  readonly key: RecordKey
}

/**
 * Memory of a client from run to run. Its modules are loaded when it is made, for most programs name no state folder; callers that act on
 * the list of torrents wait for `listed` first.
 */
export class StateFolder {
  /** Resolves when the torrents of the last run are in the list. */
  readonly listed: Promise<void>
  #list: SavedList | undefined
  #restoration: Restoration | undefined
  #closed = false

  /** Begins at once; `folder` is the state folder. */
  constructor(folder: string, events: StateFolderEvents) {
    this.listed = this.#open(path.resolve(folder), events)
    // Callers that wait for it hear of that.
    this.listed.catch(() => {})
  }

  /** The torrents that the last run has left, as soon as they are there; see `Restoration.torrents`. */
  async restored(): Promise<readonly TorrentSession[]> {
    await this.listed
    return (await this.#restoration?.torrents()) ?? []
  }

  /** Brings back the torrents of the last run; undefined until its module is loaded. */
  get restoration(): Restoration | undefined {
    return this.#restoration
  }

  /** The list of torrents for the next run; undefined until its module is loaded. */
  get list(): SavedList | undefined {
    return this.#list
  }

  /** Brings no more back; resolves when nothing more is entered in the list. Idempotent. */
  async endRestoring(): Promise<void> {
    this.#closed = true
    this.#restoration?.close()
    await this.listed
  }

  async #open(folder: string, events: StateFolderEvents): Promise<void> {
    const [{ SavedList }, { SavedTorrentsTrust }, { Restoration }] = await Promise.all([
      import('./saved-list.ts'),
      import('./saved-torrents-trust.ts'),
      import('./restoration.ts')
    ])
    // Nothing was read yet, so there is nothing to keep.
    if (this.#closed) return
    const { registry, warning, key } = events
    const torrents = (): readonly TorrentSession[] => registry.lasting
    const data = events.path === undefined ? undefined : path.resolve(events.path)
    this.#list = new SavedList(folder, new SavedTorrentsTrust({ folder, data, key }), { torrents, warning })
    this.#restoration = new Restoration(this.#list, folder, events)
    await this.#restoration.listed
  }
}
