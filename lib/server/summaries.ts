import type { Torrent } from '../index.ts'
import { runStepsInTurns, type Steps } from '../util/turn-share.ts'
import type { Shelf } from './shelf.ts'
import { summarise, type TorrentSummary } from './snapshot.ts'

/** Torrents that are looked at without a pause. */
const torrentsOfStep = 32

// A record, so that a member without a place here is no valid program.
const compared: Record<Exclude<keyof TorrentSummary, 'error'>, true> = {
  infoHash: true,
  name: true,
  status: true,
  length: true,
  progress: true,
  downloadSpeed: true,
  uploadSpeed: true,
  uploaded: true,
  peers: true,
  timeRemaining: true
}
const names = Object.keys(compared) as (keyof typeof compared)[]

/** The summaries of all torrents at one time. */
export interface SummaryList {
  /** JSON of all. */
  all(): string
  /** JSON of the ones that differ from the time before; undefined when torrents came, went or moved. */
  readonly changed: string | undefined
}

/** Looks at all torrents now and then, for all that watch, and finds out what has changed. */
export class Summaries {
  readonly #shelf: Shelf
  #summaries = new Map<Torrent, TorrentSummary>()

  constructor(shelf: Shelf) {
    this.#shelf = shelf
  }

  /** The summaries now; made in slices that yield to the event loop. */
  look(): Promise<SummaryList> {
    return runStepsInTurns(this.#steps())
  }

  *#steps(): Steps<SummaryList> {
    const before = this.#summaries
    const order = before.keys()
    const now = new Map<Torrent, TorrentSummary>()
    const changed: TorrentSummary[] = []
    let isSame = true
    for (const torrent of this.#shelf.torrents) {
      if (now.size % torrentsOfStep === 0) yield
      const summary = summarise(torrent)
      now.set(torrent, summary)
      isSame &&= order.next().value === torrent
      const old = before.get(torrent)
      if (old === undefined || !isEqual(old, summary)) changed.push(summary)
    }
    isSame &&= order.next().done === true
    this.#summaries = now
    return {
      all: () => JSON.stringify([...now.values()]),
      changed: isSame ? JSON.stringify(changed) : undefined
    }
  }
}

function isEqual(one: TorrentSummary, other: TorrentSummary): boolean {
  return names.every((name) => one[name] === other[name]) && one.error?.message === other.error?.message
}
