import { type AnnounceCounters, unknownLeft } from '../tracker/request.ts'
import { monotonicMs } from '../util/clock.ts'
import { Meter } from '../util/meter.ts'

/** What was moved, and for how long, over all runs. */
export interface TransferTotals {
  /** Payload bytes. */
  readonly uploaded: number
  readonly downloaded: number
  /** Seconds that the torrent ran. */
  readonly secondsActive: number
  /** Seconds that it ran as a seed; a record may not say. */
  readonly secondsSeeding?: number | undefined
  /** When it was added, in milliseconds since 1970. */
  readonly addedMs: number
  /** Whether every byte has been here once. */
  readonly completed?: boolean
}

/** The payload that a torrent has moved: in this run, and in those before as far as they were remembered. */
export class Transfer {
  /** Payload received in this run that was of use, and payload sent. */
  readonly down: Meter = new Meter()
  readonly up: Meter = new Meter()
  /** Payload bytes received in this run, of use or not. */
  received = 0
  #uploadedBefore = 0
  #downloadedBefore = 0
  #activeMs = 0
  #seedingMs = 0
  #state: 'idle' | 'active' | 'seeding' = 'active'
  #since: number = monotonicMs()
  #addedMs: number = Date.now()
  #completed = false

  /** Goes on where earlier runs have ended; of several memories the one that knows of more counts. */
  restore(totals: TransferTotals): void {
    const { uploaded, downloaded, secondsActive, secondsSeeding = 0, addedMs, completed = false } = totals
    this.#uploadedBefore = Math.max(this.#uploadedBefore, uploaded)
    this.#downloadedBefore = Math.max(this.#downloadedBefore, downloaded)
    this.#activeMs = Math.max(this.#activeMs, secondsActive * 1000)
    this.#seedingMs = Math.max(this.#seedingMs, secondsSeeding * 1000)
    this.#addedMs = Math.min(this.#addedMs, addedMs)
    this.#completed ||= completed
  }

  /** Payload bytes sent, over all runs. */
  get uploaded(): number {
    return this.#uploadedBefore + this.up.total
  }

  /** Payload bytes received that were of use, over all runs. */
  get downloaded(): number {
    return this.#downloadedBefore + this.down.total
  }

  /** Payload bytes of this run, both ways. */
  get moved(): number {
    return this.received + this.up.total
  }

  /** Uploaded bytes for each byte downloaded; for each of `length` when nothing was. */
  ratio(length: number): number {
    const base = this.downloaded || length
    return base === 0 ? 0 : this.uploaded / base
  }

  /** What trackers are told of this run; `left` are the bytes that are missing, undefined while that is unknown. */
  counters(left: number | undefined): AnnounceCounters {
    return { uploaded: this.up.total, downloaded: this.down.total, left: left ?? unknownLeft }
  }

  /**
   * Every byte is here. Returns whether trackers are to be told that the download is complete (BEP 3): once over all runs, and only if
   * bytes were downloaded in this one. A tracker that cannot be reached in the run that completes a download does not hear of it,
   * since the torrent is complete when the next run starts.
   */
  complete(): boolean {
    const isNews = !this.#completed && this.down.total > 0
    this.#completed = true
    return isNews
  }

  /** Milliseconds as a seed, over all runs. */
  get seedingMs(): number {
    return this.#seedingMs + (this.#state === 'seeding' ? monotonicMs() - this.#since : 0)
  }

  /** Whether the torrent runs from now on, and whether as a seed. */
  enter(state: 'idle' | 'active' | 'seeding'): void {
    if (state === this.#state) return
    const now = monotonicMs()
    if (this.#state !== 'idle') this.#activeMs += now - this.#since
    if (this.#state === 'seeding') this.#seedingMs += now - this.#since
    this.#state = state
    this.#since = now
  }

  /** What outlives this run. */
  remember(): Required<TransferTotals> & { readonly secondsSeeding: number } {
    const running = this.#state === 'idle' ? 0 : monotonicMs() - this.#since
    return {
      uploaded: this.uploaded,
      downloaded: this.downloaded,
      secondsActive: (this.#activeMs + running) / 1000,
      secondsSeeding: this.seedingMs / 1000,
      addedMs: this.#addedMs,
      completed: this.#completed
    }
  }
}
