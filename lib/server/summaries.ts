import type { Torrent } from '../index.ts'
import { runStepsInTurns, type Steps } from '../util/turn-share.ts'
import type { Shelf } from './shelf.ts'
import { summarise } from './snapshot.ts'

/** Torrents that are looked at without a pause. */
const torrentsOfStep = 32

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
  #lines = new Map<Torrent, string>()

  constructor(shelf: Shelf) {
    this.#shelf = shelf
  }

  /** The summaries now; made in slices that yield to the event loop. */
  look(): Promise<SummaryList> {
    return runStepsInTurns(this.#steps())
  }

  *#steps(): Steps<SummaryList> {
    const before = this.#lines
    const order = before.keys()
    const lines = new Map<Torrent, string>()
    const changed: string[] = []
    let isSame = true
    for (const torrent of this.#shelf.torrents) {
      if (lines.size % torrentsOfStep === 0) yield
      const line = JSON.stringify(summarise(torrent))
      lines.set(torrent, line)
      isSame &&= order.next().value === torrent
      if (line !== before.get(torrent)) changed.push(line)
    }
    isSame &&= order.next().done === true
    this.#lines = lines
    return {
      all: () => `[${[...lines.values()].join()}]`,
      changed: isSame ? `[${changed.join()}]` : undefined
    }
  }
}
