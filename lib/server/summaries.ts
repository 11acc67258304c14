import type { Torrent } from '../index.ts'
import { runStepsInSlices, type Steps } from '../util/slices.ts'
import type { Catalog } from './catalog.ts'
import { summarise, type TorrentSummary } from './snapshot.ts'

/** Torrents that are summarized before yielding to the event loop. */
const torrentsOfStep = 32

// A record, so that a forgotten member does not compile.
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
  /** Returns the JSON of all summaries. */
  all(): string
  /** JSON of the summaries that changed since the last time; undefined when torrents were added, removed or reordered. */
  readonly changed: string | undefined
}

/** Summarizes all torrents for all watchers, and finds what changed since the last time. */
export class Summaries {
  readonly #catalog: Catalog
  #summaries = new Map<Torrent, TorrentSummary>()

  constructor(catalog: Catalog) {
    this.#catalog = catalog
  }

  /** Returns the current summaries; yields to the event loop between slices. */
  look(): Promise<SummaryList> {
    return runStepsInSlices(this.#steps())
  }

  *#steps(): Steps<SummaryList> {
    const before = this.#summaries
    const order = before.keys()
    const now = new Map<Torrent, TorrentSummary>()
    const changed: TorrentSummary[] = []
    let isSame = true
    for (const torrent of this.#catalog.torrents) {
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
