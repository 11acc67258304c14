import { keyOfHash } from '../metainfo/info-hashes.ts'
import { Torrent } from '../torrent/torrent.ts'
import type { TorrentInit } from '../torrent/torrent-init.ts'
import { TorrentSession } from '../torrent/torrent-session.ts'
import { nameOf } from '../transport/mse/secrets.ts'
import { fromHex, toHex } from '../util/bytes.ts'
import { ClientHost, type ClientServices } from './client-host.ts'

/** The services and listeners of a {@link Registry}. */
export interface RegistryOptions {
  readonly services: ClientServices
  /** Called when a torrent was entered, before it starts. */
  onEntered(session: TorrentSession): void
  /** Called with errors of torrents that have no `error` listener. */
  readonly onError: (error: Error, torrent: Torrent) => void
}

/** The list of a client's torrents in queue order: the internal sessions, and the public `Torrent` of each. */
export class Registry {
  readonly #options: RegistryOptions
  readonly #sessions = new Map<string, TorrentSession>()
  /** Info hashes by their MSE hash (SHA-1 of `req2` and the info hash), in hexadecimal. */
  readonly #named = new Map<string, Uint8Array>()
  readonly #torrents = new WeakMap<TorrentSession, Torrent>()
  readonly #sessionsByTorrent = new WeakMap<Torrent, TorrentSession>()
  /** Sessions that a restart does not restore. */
  readonly #notRestored = new WeakSet<TorrentSession>()
  /** Number of callers that wait for a torrent's files, including the one that starts it. */
  readonly #waiting = new Map<TorrentSession, number>()
  /** Torrents that are being removed. */
  readonly #removing = new Map<TorrentSession, Promise<void>>()

  constructor(options: RegistryOptions) {
    this.#options = options
  }

  /** A new array of all sessions, in queue order. */
  get all(): TorrentSession[] {
    return [...this.#sessions.values()]
  }

  /** The public torrents, in queue order. */
  get torrents(): Torrent[] {
    return this.all.map((session) => this.torrentOf(session))
  }

  /** Sessions that a restart restores: all except those with a `storage` of the caller and those being removed. */
  get lasting(): TorrentSession[] {
    return this.all.filter((session) => !this.#notRestored.has(session))
  }

  /** Returns the session with this info hash (hexadecimal or bytes), or undefined. */
  get(infoHash: string | Uint8Array): TorrentSession | undefined {
    return this.#sessions.get(keyOfHash(infoHash))
  }

  /** Returns the info hash (20 bytes) whose MSE hash (SHA-1 of `req2` and the info hash) is `name`, or undefined. */
  findNamed(name: Uint8Array): Uint8Array | undefined {
    return this.#named.get(toHex(name))
  }

  /** Returns the session of a torrent, or undefined if the torrent is not in the registry any more. */
  sessionOf(torrent: Torrent): TorrentSession | undefined {
    const session = this.#sessionsByTorrent.get(torrent)
    return session !== undefined && this.#sessions.get(session.infoHash) === session ? session : undefined
  }

  /** Returns the public torrent of a session, always the same object. */
  torrentOf(session: TorrentSession): Torrent {
    let torrent = this.#torrents.get(session)
    if (torrent === undefined) {
      torrent = new Torrent(session)
      this.#torrents.set(session, torrent)
      this.#sessionsByTorrent.set(torrent, session)
    }
    return torrent
  }

  /** Creates a session and appends it to the queue. The caller starts it and then calls `begun`. */
  enter(init: TorrentInit): TorrentSession {
    const { services, onEntered, onError } = this.#options
    const session = new TorrentSession(new ClientHost(services), init, {
      failed: (error) => onError(error, this.torrentOf(session)),
      closed: () => this.#closed(session)
    })
    this.#sessions.set(session.infoHash, session)
    this.#named.set(...named(session))
    // The next run could not recreate the caller's storage.
    if (init.storage !== undefined) this.#notRestored.add(session)
    this.#waiting.set(session, 1)
    onEntered(session)
    return session
  }

  /** Stops counting the caller of `enter` as waiting. Must be called once the torrent has started or failed. */
  begun(session: TorrentSession): void {
    const waiting = (this.#waiting.get(session) ?? 1) - 1
    if (waiting > 0) this.#waiting.set(session, waiting)
    else this.#waiting.delete(session)
  }

  /** Returns whether exactly one caller waits for the torrent's files. */
  isLastWaiting(session: TorrentSession): boolean {
    return this.#waiting.get(session) === 1
  }

  /** Waits for the torrent's files. If that fails and no other caller waits, closes the torrent. */
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

  /** Closes a torrent and deletes its resume record, and with `deleteFiles` its data, after `forget` has saved the list without it. */
  async remove(session: TorrentSession, deleteFiles: boolean, forget: () => Promise<void>): Promise<void> {
    const removed = this.#remove(session, deleteFiles, forget)
    const settle = (): void => void this.#removing.delete(session)
    this.#removing.set(session, removed.then(settle, settle))
    await removed
  }

  /** Resolves when a torrent that is being removed or closed is gone; returns undefined for any other. */
  endOf(session: TorrentSession | undefined): Promise<void> | undefined {
    if (session === undefined) return undefined
    return this.#removing.get(session) ?? (session.status === 'closed' ? session.close() : undefined)
  }

  /** Moves a session to another position in the queue, from 0 on. */
  move(session: TorrentSession, index: number): void {
    const order = this.all.filter((other) => other !== session)
    order.splice(index, 0, session)
    this.#sessions.clear()
    for (const one of order) this.#sessions.set(one.infoHash, one)
  }

  /** Applies new rate limits of the client to all torrents. */
  limitsChanged(): void {
    for (const session of this.#sessions.values()) session.limitsChanged()
  }

  async #remove(session: TorrentSession, deleteFiles: boolean, forget: () => Promise<void>): Promise<void> {
    // The list is saved before anything is deleted: after a crash in between, the next run would download the data again.
    this.#notRestored.add(session)
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
    if (this.#sessions.get(infoHash) !== session) return false
    this.#named.delete(named(session)[0])
    return this.#sessions.delete(infoHash)
  }
}

/** Returns the MSE hash of a torrent, in hexadecimal, and its info hash. */
function named(session: TorrentSession): [name: string, infoHash: Uint8Array] {
  const infoHash = fromHex(session.infoHash) ?? new Uint8Array()
  return [toHex(nameOf(infoHash)), infoHash]
}
