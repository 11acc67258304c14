/** How many torrents of a client have a peer that wants something of them: these share the client's upload limit. */
export class ServingTorrents {
  #count = 0

  /** The torrents that serve now. */
  get count(): number {
    return this.#count
  }

  /** Counts a torrent of which a first peer wants something. */
  begin(): void {
    this.#count++
  }

  /** Counts a torrent of which no peer wants anything any more. */
  cease(): void {
    this.#count--
  }
}
