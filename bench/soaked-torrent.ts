import type { Client, Torrent } from '../lib/index.ts'

/** Result for one torrent of the client. */
export interface TorrentReport {
  readonly name: string
  /** Payload bytes received. */
  readonly received: number
  /** Bytes of pieces that were verified. */
  readonly verified: number
  /** Completed downloads. */
  readonly completed: number
  /** Time in which it had a seed and was not complete. */
  readonly seededMs: number
  /** Longest part of that time without a block. */
  readonly longestMs: number
  /** Times without a block that exceeded the patience. */
  readonly starved: readonly Starved[]
}

/** A time in which a torrent with a seed got no block. */
export interface Starved {
  /** Milliseconds from the start of the run. */
  readonly atMs: number
  forMs: number
  /** Connections at its end. */
  peers: number
}

/** Downloads a torrent again and again while its seeds come and go; measures how long no block arrives. */
export class SoakedTorrent {
  readonly #client: Client
  readonly #name: string
  readonly #source: string
  readonly #folder: string
  readonly #patienceMs: number
  readonly #began: number
  readonly #seeds = new Set<string>()
  readonly #starved: Starved[] = []
  #torrent: Torrent | undefined
  #renewing: Promise<unknown> = Promise.resolve()
  /** When the last block arrived, or the first seed was added. */
  #sinceMs = 0
  #lastLookMs = 0
  #lastReceived = 0
  #received = 0
  #verified = 0
  #completed = 0
  #seededMs = 0
  #longestMs = 0

  /** Prepares the download of the .torrent at `source`; reports a time without a block above `patienceMs`. */
  constructor(client: Client, name: string, source: string, folder: string, patienceMs: number) {
    this.#client = client
    this.#name = name
    this.#source = source
    this.#folder = folder
    this.#patienceMs = patienceMs
    this.#began = performance.now()
  }

  /** Removes the download with its files, if there is one, and adds the torrent again. */
  renew(): Promise<Torrent> {
    const renewed = this.#renewing.then(async () => {
      const old = this.#torrent
      this.#torrent = undefined
      if (old !== undefined) {
        this.#received += old.received
        this.#verified += old.downloaded
        await this.#client.remove(old, { deleteFiles: true })
      }
      const torrent = await this.#client.add(this.#source, { path: this.#folder })
      for (const seed of this.#seeds) torrent.addPeer(seed)
      this.#lastReceived = 0
      this.#sinceMs = performance.now()
      this.#torrent = torrent
      return torrent
    })
    this.#renewing = renewed.catch(() => {})
    return renewed
  }

  /** Adds a seed that can be dialled now. */
  come(address: string): void {
    if (this.#seeds.size === 0) this.#sinceMs = performance.now()
    this.#seeds.add(address)
    this.#torrent?.addPeer(address)
  }

  /** Removes a seed, before it is stopped. */
  go(address: string): void {
    this.#look(performance.now())
    this.#seeds.delete(address)
  }

  /** Checks whether blocks have arrived; called many times a second. */
  watch(): void {
    const now = performance.now()
    this.#look(now)
    this.#lastLookMs = now
    if (this.#torrent?.done !== true) return
    this.#completed++
    void this.renew()
  }

  /** Returns the result so far. */
  report(): TorrentReport {
    return {
      name: this.#name,
      received: this.#received + (this.#torrent?.received ?? 0),
      verified: this.#verified + (this.#torrent?.downloaded ?? 0),
      completed: this.#completed,
      seededMs: this.#seededMs,
      longestMs: this.#longestMs,
      starved: this.#starved
    }
  }

  #look(now: number): void {
    const torrent = this.#torrent
    if (torrent === undefined || torrent.done || this.#seeds.size === 0) return
    this.#seededMs += now - Math.max(this.#lastLookMs, this.#began)
    this.#lastLookMs = now
    if (torrent.received !== this.#lastReceived) {
      this.#lastReceived = torrent.received
      this.#sinceMs = now
      return
    }
    const forMs = now - this.#sinceMs
    this.#longestMs = Math.max(this.#longestMs, forMs)
    if (forMs <= this.#patienceMs) return
    const atMs = this.#sinceMs - this.#began
    const last = this.#starved.at(-1)
    const peers = torrent.peers.length
    if (last?.atMs === atMs) Object.assign(last, { forMs, peers })
    else this.#starved.push({ atMs, forMs, peers })
  }
}
