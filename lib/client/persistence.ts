import path from 'node:path'
import type { RecordKey } from '../storage/record-key.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import type { Restoration, RestorationEvents } from './restoration.ts'
import type { Session } from './session.ts'

/** What a {@link Persistence} asks and tells. */
export interface PersistenceEvents extends RestorationEvents {
  /** The client's folder for data. */
  readonly path: string | undefined
  /** Signs the list of torrents when the state folder lies inside data. */
  readonly key: RecordKey
  /** The torrents that a restart should bring back, in their order. */
  lasting(): readonly TorrentSession[]
}

/**
 * What a client remembers from run to run. It is loaded when it is made, for most programs name no state folder; whoever acts on
 * the list of torrents waits for `listed` first.
 */
export class Persistence {
  /** Resolves when the torrents of the last run are in the list. */
  readonly listed: Promise<void>
  #session: Session | undefined
  #restoration: Restoration | undefined
  #closed = false

  /** Begins at once; `folder` is the state folder. */
  constructor(folder: string, events: PersistenceEvents) {
    this.listed = this.#open(path.resolve(folder), events)
    // Who waits for it hears of that.
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

  /** See `Session.setAside`. */
  setAside(saved: SavedTorrent): void {
    this.#session?.setAside(saved)
  }

  /** See `Session.takeBack`. */
  takeBack(infoHash: string): SavedTorrent | undefined {
    return this.#session?.takeBack(infoHash)
  }

  /** See `Session.touch`. */
  touch(): void {
    this.#session?.touch()
  }

  /** See `Session.flush`. */
  async flush(): Promise<void> {
    await this.#session?.flush()
  }

  /** Brings no more back; resolves when nothing more is entered in the list. Idempotent. */
  async endRestoring(): Promise<void> {
    this.#closed = true
    this.#restoration?.close()
    await this.listed
  }

  /** See `Session.stop`. */
  async stop(): Promise<void> {
    await this.#session?.stop()
  }

  /** See `Session.close`. */
  async close(lasting: readonly TorrentSession[]): Promise<void> {
    await this.#session?.close(lasting)
  }

  async #open(folder: string, events: PersistenceEvents): Promise<void> {
    const [{ Session }, { SavedTorrentsTrust }, { Restoration }] = await Promise.all([
      import('./session.ts'),
      import('./saved-torrents-trust.ts'),
      import('./restoration.ts')
    ])
    // Nothing was read yet, so there is nothing to keep.
    if (this.#closed) return
    const { lasting: torrents, warning, key } = events
    const data = events.path === undefined ? undefined : path.resolve(events.path)
    this.#session = new Session(folder, new SavedTorrentsTrust({ folder, data, key }), { torrents, warning })
    this.#restoration = new Restoration(this.#session, folder, events)
    await this.#restoration.listed
  }
}
