import type { Swarm } from '../swarm/swarm.ts'
import type { RunState } from './run-state.ts'
import type { TorrentData } from './torrent-data.ts'
import type { Transfer } from './transfer.ts'

/** Dependencies of {@link Seeding}. */
export interface SeedingOptions {
  readonly state: RunState
  readonly data: TorrentData
  readonly swarm: Swarm
  readonly transfer: Transfer
  readonly superSeeding: boolean
}

/** Applies the completeness of a torrent to the choking of peers, the seeding time and the trackers. */
export class Seeding {
  readonly #options: SeedingOptions
  #superSeeding: boolean

  constructor(options: SeedingOptions) {
    this.#options = options
    this.#superSeeding = options.superSeeding
  }

  /** Whether peers that connect are shown only a few pieces at a time while every byte is stored (BEP 16). */
  get superSeeding(): boolean {
    return this.#superSeeding
  }

  set superSeeding(superSeeding: boolean) {
    this.#superSeeding = superSeeding
    const { data, swarm } = this.#options
    if (data.content !== undefined) {
      data.content.haves.superSeeding = superSeeding
      this.#serve()
    }
    swarm.handshakes.update()
  }

  /** Applies a changed activity. */
  update(): void {
    if (this.#options.data.opened === undefined) return
    this.#serve()
    this.countTime()
  }

  /** Counts time for the current activity from now on. */
  countTime(): void {
    const { state, data, transfer } = this.#options
    if (!state.running) transfer.enter('idle')
    else transfer.enter(data.opened?.activity === 'seeding' ? 'seeding' : 'active')
  }

  /** Tells trackers that the torrent is complete. */
  tellComplete(): void {
    const { swarm, transfer } = this.#options
    const { trackers } = swarm.sources
    if (transfer.complete()) trackers.completed()
    else trackers.nothingLeft()
  }

  /** Unchokes peers in rotation while nothing is to be downloaded. A complete torrent also suggests pieces, unless it super-seeds. */
  #serve(): void {
    const { content } = this.#options.data
    if (content === undefined) return
    const { uploads, activity, complete, haves } = content
    uploads.setSeeding(activity === 'seeding' || activity === 'idle', complete && !haves.superSeeding)
  }
}
