import type { Content } from './content.ts'
import type { RunState } from './run-state.ts'

/** Holds the data of a torrent from when its metadata is known: the one place where others look for it. */
export class TorrentData {
  readonly #state: RunState
  #content: Content | undefined

  constructor(state: RunState) {
    this.#state = state
  }

  /** Undefined until the metadata is known. */
  get content(): Content | undefined {
    return this.#content
  }

  set content(content: Content) {
    this.#content = content
  }

  /** The same, once its storage is open. */
  get opened(): Content | undefined {
    return this.#state.filesKnown ? this.#content : undefined
  }
}
