import type { Client, Torrent } from '../lib/index.ts'

/** One torrent of the client as the run saw it. */
export interface TorrentReport {
  readonly name: string
  /** Payload that came. */
  readonly received: number
  /** Bytes of pieces that were verified. */
  readonly verified: number
  /** How often it was downloaded to its end. */
  readonly completed: number
  /** Time in which it had a seed and something to fetch. */
  readonly seededMs: number
  /** The longest part of that in which no block came. */
  readonly longestMs: number
  /** Each time that this was longer than it may be. */
  readonly starved: readonly Starved[]
}

/** A time in which a torrent with a seed got no block. */
export interface Starved {
  /** When it began, from the start of the run. */
  readonly atMs: number
  forMs: number
  /** Connections at its end. */
  peers: number
}

/** A torrent that is downloaded again and again, while its seeds come and go, and the times in which it got nothing. */
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
  /** When the last block came, or the first seed. */
  #sinceMs = 0
  #lastLookMs = 0
  #lastReceived = 0
  #received = 0
  #verified = 0
  #completed = 0
  #seededMs = 0
  #longestMs = 0

  /** A torrent of a .torrent file that is given up when it gets nothing for so long. */
  constructor(client: Client, name: string, source: string, folder: string, patienceMs: number) {
    this.#client = client
    this.#name = name
    this.#source = source
    this.#folder = folder
    this.#patienceMs = patienceMs
    this.#began = performance.now()
  }

  /** Begins to download, or does so once more without what is there. */
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
      torrent.addPeers([...this.#seeds])
      this.#lastReceived = 0
      this.#sinceMs = performance.now()
      this.#torrent = torrent
      return torrent
    })
    this.#renewing = renewed.catch(() => {})
    return renewed
  }

  /** A seed has come. */
  come(address: string): void {
    if (this.#seeds.size === 0) this.#sinceMs = performance.now()
    this.#seeds.add(address)
    this.#torrent?.addPeer(address)
  }

  /** A seed is about to go. */
  go(address: string): void {
    this.#look(performance.now())
    this.#seeds.delete(address)
  }

  /** Looks whether blocks have come; to be called many times a second. */
  watch(): void {
    const now = performance.now()
    this.#look(now)
    this.#lastLookMs = now
    if (this.#torrent?.done !== true) return
    this.#completed++
    void this.renew()
  }

  /** What has happened so far. */
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
