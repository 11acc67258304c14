import type { Content } from './content.ts'
import type { RunState } from './run-state.ts'

/** Holds the {@link Content} of a torrent once its metadata is known, for all parts of the session. */
export class TorrentData {
  readonly #state: RunState
  #content: Content | undefined

  constructor(state: RunState) {
    this.#state = state
  }

  /** The content; undefined until the metadata is known. */
  get content(): Content | undefined {
    return this.#content
  }

  set content(content: Content) {
    this.#content = content
  }

  /** The content, once its storage is open. */
  get opened(): Content | undefined {
    return this.#state.filesKnown ? this.#content : undefined
  }
}
