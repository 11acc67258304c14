import { type Torrent, TorrentError } from '../index.ts'
import type { Output } from './output.ts'

const lonelyMs = 15_000

/**
 * Filters the warnings of torrents. Warnings of single trackers are shown only with `--verbose`; without it, one is shown once all
 * trackers have failed. Also warns when no peer has connected within 15 seconds.
 */
export class TrackerNotes {
  readonly #output: Output
  readonly #timers = new Set<NodeJS.Timeout>()
  #saidFailed = false

  constructor(output: Output) {
    this.#output = output
  }

  /** Listens to the warnings of a torrent. */
  watch(torrent: Torrent): void {
    let met = false
    torrent.once('peer', () => {
      met = true
    })
    torrent.on('warning', (warning) => {
      if (this.#output.verbose || !isOfTracker(warning)) this.#output.warn(warning)
      else this.#noteFailed(torrent, warning)
    })
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (!met && torrent.status !== 'seeding' && torrent.status !== 'idle')
        this.#output.warn(lonely(torrent))
    }, lonelyMs)
    timer.unref()
    this.#timers.add(timer)
  }

  /** Cancels pending warnings. */
  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  #noteFailed(torrent: Torrent, warning: Error): void {
    const { trackers } = torrent
    if (this.#saidFailed || trackers.some(({ status, last }) => status !== 'failed' || last !== undefined))
      return
    this.#saidFailed = true
    const which =
      trackers.length > 1
        ? `none of ${trackers.length} trackers works so far`
        : 'the tracker does not work so far'
    this.#output.warn(`${which}: ${warning.message}`)
  }
}

function isOfTracker(warning: Error): boolean {
  return warning instanceof TorrentError && warning.code.startsWith('ERR_TRACKER_')
}

function lonely({ trackers }: Torrent): string {
  return trackers.length === 0
    ? 'no peers yet, and the torrent has no trackers: --tracker adds a tracker, --peer host:port adds a peer'
    : 'no peers yet; --verbose shows the answers of the trackers, --peer host:port adds a peer'
}
