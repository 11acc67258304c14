import { keyOfHash } from '../metainfo/info-hashes.ts'
import { Torrent } from '../torrent/torrent.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'

/** The torrents of a client, in the order of its queue: the sessions, and what the user has of each. */
export class Registry {
  readonly #sessions = new Map<string, TorrentSession>()
  readonly #torrents = new WeakMap<TorrentSession, Torrent>()
  readonly #known = new WeakMap<Torrent, TorrentSession>()
  /** Sessions that a restart does not bring back. */
  readonly #fleeting = new WeakSet<TorrentSession>()

  /** All of them; a list of its own. */
  get all(): TorrentSession[] {
    return [...this.#sessions.values()]
  }

  /** The same as the user has them. */
  get torrents(): Torrent[] {
    return this.all.map((session) => this.torrentOf(session))
  }

  /** What a restart brings back. */
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

  /** Enters a torrent as the last. */
  add(session: TorrentSession): void {
    this.#sessions.set(session.infoHash, session)
  }

  /** Takes a torrent away; false when it is not here. */
  delete(session: TorrentSession): boolean {
    const { infoHash } = session
    return this.#sessions.get(infoHash) === session && this.#sessions.delete(infoHash)
  }

  /** A restart is not to bring it back: its storage is the caller's, or it is being removed. */
  forget(session: TorrentSession): void {
    this.#fleeting.add(session)
  }

  /** Moves a torrent that is here to another place, 0 the first. */
  move(session: TorrentSession, index: number): void {
    const order = this.all.filter((other) => other !== session)
    order.splice(Math.max(0, Math.trunc(index)), 0, session)
    this.#sessions.clear()
    for (const one of order) this.#sessions.set(one.infoHash, one)
  }

  /** Has all torrents follow new limits of the client. */
  limitsChanged(): void {
    for (const session of this.#sessions.values()) session.limitsChanged()
  }
}
