import path from 'node:path'
import type { RecordKey } from '../storage/record-key.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
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
 * the list of torrents waits for `listed` first.
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

  /** See `Restoration.torrents`. */
  async restored(): Promise<readonly TorrentSession[]> {
    await this.listed
    return (await this.#restoration?.torrents()) ?? []
  }

  /** See `Restoration.claims`. */
  claims(torrent: TorrentSession): boolean {
    return this.#restoration?.claims(torrent) === true
  }

  /** See `SavedList.setAside`. */
  setAside(saved: SavedTorrent): void {
    this.#list?.setAside(saved)
  }

  /** See `SavedList.takeBack`. */
  takeBack(infoHash: string): SavedTorrent | undefined {
    return this.#list?.takeBack(infoHash)
  }

  /** See `SavedList.touch`. */
  touch(): void {
    this.#list?.touch()
  }

  /** See `SavedList.flush`. */
  async flush(): Promise<void> {
    await this.#list?.flush()
  }

  /** Brings no more back; resolves when nothing more is entered in the list. Idempotent. */
  async endRestoring(): Promise<void> {
    this.#closed = true
    this.#restoration?.close()
    await this.listed
  }

  /** See `SavedList.stop`. */
  async stop(): Promise<void> {
    await this.#list?.stop()
  }

  /** See `SavedList.close`. */
  async close(lasting: readonly TorrentSession[]): Promise<void> {
    await this.#list?.close(lasting)
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
