import type { ResumeRecord } from '../storage/resume-record.ts'
import { monotonicMs } from '../util/clock.ts'
import { Meter } from '../util/meter.ts'

/** The payload that a torrent has moved: in this run, and in those before as far as the resume record tells. */
export class Transfer {
  /** Payload received in this run that was of use, and payload sent. */
  readonly down: Meter = new Meter()
  readonly up: Meter = new Meter()
  /** Payload bytes received in this run, of use or not. */
  received = 0
  readonly #startedAt: number = monotonicMs()
  #uploadedBefore = 0
  #downloadedBefore = 0
  #secondsBefore = 0
  #addedMs: number = Date.now()

  /** Goes on where an earlier run has ended. */
  restore({ uploaded, downloaded, secondsActive, addedMs }: ResumeRecord): void {
    this.#uploadedBefore = uploaded
    this.#downloadedBefore = downloaded
    this.#secondsBefore = secondsActive
    this.#addedMs = addedMs
  }

  /** Payload bytes sent, over all runs. */
  get uploaded(): number {
    return this.#uploadedBefore + this.up.total
  }

  /** Payload bytes received that were of use, over all runs. */
  get downloaded(): number {
    return this.#downloadedBefore + this.down.total
  }

  /** What goes into the resume record. */
  remember(): Pick<ResumeRecord, 'uploaded' | 'downloaded' | 'secondsActive' | 'addedMs'> {
    return {
      uploaded: this.uploaded,
      downloaded: this.downloaded,
      secondsActive: this.#secondsBefore + (monotonicMs() - this.#startedAt) / 1000,
      addedMs: this.#addedMs
    }
  }
}
