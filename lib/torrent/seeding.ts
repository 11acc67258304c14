import type { Swarm } from '../swarm/swarm.ts'
import type { RunState } from './run-state.ts'
import type { TorrentData } from './torrent-data.ts'
import type { Transfer } from './transfer.ts'

/** The parts that {@link Seeding} works with. */
export interface SeedingOptions {
  readonly state: RunState
  readonly data: TorrentData
  readonly swarm: Swarm
  readonly transfer: Transfer
  readonly superSeeding: boolean
}

/** Follows how complete a torrent is: how peers are served, which time counts as seeding, and what trackers hear. */
export class Seeding {
  readonly #options: SeedingOptions
  #superSeeding: boolean

  constructor(options: SeedingOptions) {
    this.#options = options
    this.#superSeeding = options.superSeeding
  }

  /** Whether peers that come are shown few pieces at a time once everything is here (BEP 16). */
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

  /** Follows a change of what the torrent does. */
  update(): void {
    if (this.#options.data.opened === undefined) return
    this.#serve()
    this.countTime()
  }

  /** Counts the time from now on for the present activity. */
  countTime(): void {
    const { state, data, transfer } = this.#options
    if (!state.running) transfer.enter('idle')
    else transfer.enter(data.opened?.activity === 'seeding' ? 'seeding' : 'active')
  }

  /** Tells trackers that the last missing byte has come or was found. */
  tellComplete(): void {
    const { swarm, transfer } = this.#options
    const { trackers } = swarm.sources
    if (transfer.complete()) trackers.completed()
    else trackers.nothingLeft()
  }

  /** Serves peers in turn while nothing is to be fetched, and guides them unless they are shown few pieces anyway. */
  #serve(): void {
    const { content } = this.#options.data
    if (content === undefined) return
    const { uploads, activity, complete, haves } = content
    uploads.setSeeding(activity === 'seeding' || activity === 'idle', complete && !haves.superSeeding)
  }
}
