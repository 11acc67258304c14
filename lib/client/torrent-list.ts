import { keyOfHash } from '../metainfo/info-hashes.ts'
import type { Torrent } from '../torrent/torrent.ts'

/** The torrents of a client, in the order of its queue. */
export class TorrentList {
  readonly #torrents = new Map<string, Torrent>()
  /** Those that a restart does not bring back. */
  readonly #fleeting = new WeakSet<Torrent>()

  /** All of them; a list of its own. */
  get all(): Torrent[] {
    return [...this.#torrents.values()]
  }

  /** What a restart brings back. */
  get lasting(): Torrent[] {
    return this.all.filter((torrent) => !this.#fleeting.has(torrent))
  }

  /** The torrent with this info hash in hexadecimal or bytes. */
  get(infoHash: string | Uint8Array): Torrent | undefined {
    return this.#torrents.get(keyOfHash(infoHash))
  }

  /** Whether it is this very torrent that is here. */
  has(torrent: Torrent): boolean {
    return this.#torrents.get(torrent.infoHash) === torrent
  }

  /** Enters a torrent as the last. */
  add(torrent: Torrent): void {
    this.#torrents.set(torrent.infoHash, torrent)
  }

  /** Takes a torrent away; false when it is not here. */
  delete(torrent: Torrent): boolean {
    return this.has(torrent) && this.#torrents.delete(torrent.infoHash)
  }

  /** A restart is not to bring it back: its storage is the caller's, or it is being removed. */
  forget(torrent: Torrent): void {
    this.#fleeting.add(torrent)
  }

  /** Moves a torrent to another place, 0 the first; false when it is not here. */
  move(torrent: Torrent, index: number): boolean {
    if (!this.has(torrent)) return false
    const order = this.all.filter((other) => other !== torrent)
    order.splice(Math.max(0, Math.trunc(index)), 0, torrent)
    this.#torrents.clear()
    for (const one of order) this.add(one)
    return true
  }

  /** Has all torrents follow new limits of the client. */
  limitsChanged(): void {
    for (const torrent of this.#torrents.values()) torrent.limitsChanged()
  }
}
