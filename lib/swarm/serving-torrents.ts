/** Counts the torrents of a client with an interested peer; they share the client's upload limit. */
export class ServingTorrents {
  #count = 0

  /** Number of torrents with an interested peer. */
  get count(): number {
    return this.#count
  }

  /** Counts a torrent that got its first interested peer. */
  begin(): void {
    this.#count++
  }

  /** Removes a torrent that lost its last interested peer. */
  cease(): void {
    this.#count--
  }
}
