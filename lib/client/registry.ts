import { keyOfHash } from '../metainfo/info-hashes.ts'
import { Torrent } from '../torrent/torrent.ts'
import type { TorrentInit } from '../torrent/torrent-init.ts'
import { TorrentSession } from '../torrent/torrent-session.ts'
import { ClientHost, type ClientServices } from './client-host.ts'

/** The services and listeners of a {@link Registry}. */
export interface RegistryOptions {
  readonly services: ClientServices
  /** A torrent is in the registry now; it has not begun. */
  onEntered(session: TorrentSession): void
  /** A torrent has failed that has no listener of its own. */
  readonly onError: (error: Error, torrent: Torrent) => void
}

/** The torrents of a client, in the order of its queue: the sessions, and the torrent that the user has for each. */
export class Registry {
  readonly #options: RegistryOptions
  readonly #sessions = new Map<string, TorrentSession>()
  readonly #torrents = new WeakMap<TorrentSession, Torrent>()
  readonly #known = new WeakMap<Torrent, TorrentSession>()
  /** Sessions that a restart does not bring back. */
  readonly #fleeting = new WeakSet<TorrentSession>()
  /** How many callers wait for the files of a torrent; the one that begins it counts too. */
  readonly #waiting = new Map<TorrentSession, number>()
  /** Torrents that are being removed. */
  readonly #leaving = new Map<TorrentSession, Promise<void>>()

  constructor(options: RegistryOptions) {
    this.#options = options
  }

  /** All of them; a list of its own. */
  get all(): TorrentSession[] {
    return [...this.#sessions.values()]
  }

  /** The same as the user has them. */
  get torrents(): Torrent[] {
    return this.all.map((session) => this.torrentOf(session))
  }

  /** The torrents that a restart brings back. */
  get lasting(): TorrentSession[] {
    return this.all.filter((session) => !this.#fleeting.has(session))
  }

  /** The torrent with this info hash in hexadecimal or bytes. */
  get(infoHash: string | Uint8Array): TorrentSession | undefined {
    return this.#sessions.get(keyOfHash(infoHash))
  }

  /** The session of a torrent that is here. */
  sessionOf(torrent: Torrent): TorrentSession | undefined {
    const session = this.#known.get(torrent)
    return session !== undefined && this.#sessions.get(session.infoHash) === session ? session : undefined
  }

  /** The torrent that the user has for a session, always the same one. */
  torrentOf(session: TorrentSession): Torrent {
    let torrent = this.#torrents.get(session)
    if (torrent === undefined) {
      torrent = new Torrent(session)
      this.#torrents.set(session, torrent)
      this.#known.set(torrent, session)
    }
    return torrent
  }

  /** Makes a torrent and enters it as the last; the caller tells `begun` when it has begun. */
  enter(init: TorrentInit): TorrentSession {
    const { services, onEntered, onError } = this.#options
    const session = new TorrentSession(new ClientHost(services), init, {
      failed: (error) => onError(error, this.torrentOf(session)),
      closed: () => this.#closed(session)
    })
    this.#sessions.set(session.infoHash, session)
    // Its storage is the caller's.
    if (init.storage !== undefined) this.#fleeting.add(session)
    this.#waiting.set(session, 1)
    onEntered(session)
    return session
  }

  /** The caller of `enter` has begun the torrent, and waits no more or by `ready`. */
  begun(session: TorrentSession): void {
    const waiting = (this.#waiting.get(session) ?? 1) - 1
    if (waiting > 0) this.#waiting.set(session, waiting)
    else this.#waiting.delete(session)
  }

  /** Whether only one caller waits for the files. */
  isLastWaiting(session: TorrentSession): boolean {
    return this.#waiting.get(session) === 1
  }

  /** Waits for the files; closes a torrent that failed and that no other caller waits for. */
  async ready(session: TorrentSession, signal?: AbortSignal): Promise<void> {
    this.#waiting.set(session, (this.#waiting.get(session) ?? 0) + 1)
    try {
      await session.ready(signal)
    } catch (thrown) {
      if (this.isLastWaiting(session) && session.data.opened === undefined) await session.close()
      throw thrown
    } finally {
      this.begun(session)
    }
  }

  /** Closes a torrent and removes its records and perhaps its data, once `forget` has taken it from the list of the next run. */
  async remove(session: TorrentSession, deleteFiles: boolean, forget: () => Promise<void>): Promise<void> {
    const removed = this.#remove(session, deleteFiles, forget)
    const settle = (): void => void this.#leaving.delete(session)
    this.#leaving.set(session, removed.then(settle, settle))
    await removed
  }

  /** Resolves when a torrent that is about to go has gone; undefined for one that stays. */
  endOf(session: TorrentSession | undefined): Promise<void> | undefined {
    if (session === undefined) return undefined
    return this.#leaving.get(session) ?? (session.status === 'closed' ? session.close() : undefined)
  }

  /** Moves a torrent that is here to another place, 0 the first. */
  move(session: TorrentSession, index: number): void {
    const order = this.all.filter((other) => other !== session)
    order.splice(Math.max(0, Math.trunc(index)), 0, session)
    this.#sessions.clear()
    for (const one of order) this.#sessions.set(one.infoHash, one)
  }

  /** Applies new limits of the client to all torrents. */
  limitsChanged(): void {
    for (const session of this.#sessions.values()) session.limitsChanged()
  }

  async #remove(session: TorrentSession, deleteFiles: boolean, forget: () => Promise<void>): Promise<void> {
    // Taken from the list before anything is deleted, or a crash between the two would have it fetched anew.
    this.#fleeting.add(session)
    await forget()
    await session.remove(deleteFiles)
    this.#delete(session)
  }

  #closed(session: TorrentSession): void {
    this.#waiting.delete(session)
    if (this.#delete(session)) this.#options.services.changed()
  }

  #delete(session: TorrentSession): boolean {
    const { infoHash } = session
    return this.#sessions.get(infoHash) === session && this.#sessions.delete(infoHash)
  }
}
