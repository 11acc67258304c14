import { type AnnounceCounters, unknownLeft } from '../tracker/request.ts'
import { monotonicMs } from '../util/clock.ts'
import { Meter } from '../util/meter.ts'

/** Payload and times of a torrent over all runs. */
export interface TransferTotals {
  /** Payload bytes. */
  readonly uploaded: number
  readonly downloaded: number
  /** Seconds of running. */
  readonly secondsActive: number
  /** Seconds of seeding; missing in old records. */
  readonly secondsSeeding?: number | undefined
  /** When it was added, in milliseconds since 1970. */
  readonly addedMs: number
  /** Whether the torrent was ever complete. */
  readonly completed?: boolean
}

/** Counts the payload and the running time of a torrent, in this run and in all runs that were saved. */
export class Transfer {
  /** Payload received in this run, without wasted blocks, and payload sent. */
  readonly down: Meter = new Meter()
  readonly up: Meter = new Meter()
  /** Payload bytes received in this run, including wasted blocks. */
  received = 0
  #uploadedBefore = 0
  #downloadedBefore = 0
  #activeMs = 0
  #seedingMs = 0
  #state: 'idle' | 'active' | 'seeding' = 'active'
  #since: number = monotonicMs()
  #addedMs: number = Date.now()
  #completed = false

  /** Adds the totals of earlier runs. If called for both saved torrent and resume record, the larger values count. */
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

  /** Payload bytes received without wasted blocks, over all runs. */
  get downloaded(): number {
    return this.#downloadedBefore + this.down.total
  }

  /** Payload bytes of this run in both directions. */
  get moved(): number {
    return this.received + this.up.total
  }

  /** Returns bytes uploaded per byte downloaded; per byte of `length` if nothing was downloaded. */
  ratio(length: number): number {
    const base = this.downloaded || length
    return base === 0 ? 0 : this.uploaded / base
  }

  /** Returns the announce counters of this run; `left` is the number of missing bytes, undefined while unknown. */
  counters(left: number | undefined): AnnounceCounters {
    return { uploaded: this.up.total, downloaded: this.down.total, left: left ?? unknownLeft }
  }

  /**
   * Marks the torrent as complete. Returns whether to announce `completed` (BEP 3): once over all runs, and only if this run has
   * downloaded bytes. A tracker that is unreachable in that run is not told later, since the next run starts with a complete torrent.
   */
  complete(): boolean {
    const isNews = !this.#completed && this.down.total > 0
    this.#completed = true
    return isNews
  }

  /** Milliseconds of seeding, over all runs. */
  get seedingMs(): number {
    return this.#seedingMs + (this.#state === 'seeding' ? monotonicMs() - this.#since : 0)
  }

  /** Sets the state for which time counts from now on. */
  enter(state: 'idle' | 'active' | 'seeding'): void {
    if (state === this.#state) return
    const now = monotonicMs()
    if (this.#state !== 'idle') this.#activeMs += now - this.#since
    if (this.#state === 'seeding') this.#seedingMs += now - this.#since
    this.#state = state
    this.#since = now
  }

  /** Returns the totals to save. */
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
