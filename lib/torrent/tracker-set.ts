import type { Announcement } from '../tracker/announcement.ts'
import type { AnnounceCounters } from '../tracker/request.ts'
import { announceTiers } from '../tracker/tiers.ts'
import type { TrackerStatus } from '../tracker/tracker-state.ts'
import type { TorrentHost } from './torrent-host.ts'

/** Tracker URLs: one tier each, or tiers of several (BEP 12). */
export type TrackerTiers = readonly (string | readonly string[])[]

/** What a {@link TrackerSet} asks and tells. */
export interface TrackerSetOptions {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  readonly host: Pick<TorrentHost, 'peerId' | 'port' | 'udpTrackers' | 'localAddress'>
  /** What was moved and what is missing; asked for each announce. */
  counters(): AnnounceCounters
  /** An announcement has begun: a source of peers. */
  onAnnouncement(announcement: Announcement): void
  onWarning(warning: Error): void
}

/** The trackers of a torrent, to which more may be added at any time; each URL is announced to once. */
export class TrackerSet {
  readonly #options: TrackerSetOptions
  readonly #announcements: Announcement[] = []
  readonly #tiers: string[][] = []
  #closing: Promise<void> | undefined

  constructor(options: TrackerSetOptions) {
    this.#options = options
  }

  /** All URLs, by tier. */
  get tiers(): readonly (readonly string[])[] {
    return this.#tiers
  }

  /** How each tracker fares. */
  get statuses(): readonly TrackerStatus[] {
    return this.#announcements.flatMap(({ trackers }) => trackers)
  }

  /** Announces to those trackers that are new, and returns their URLs. */
  add(trackers: TrackerTiers): string[] {
    if (this.#closing !== undefined) return []
    const known = new Set(this.#tiers.flat())
    const tiers = trackers
      .map((tier) => (typeof tier === 'string' ? [tier] : [...tier]).filter((url) => !known.has(url)))
      .filter((tier) => tier.length > 0)
    if (tiers.length === 0) return []
    this.#tiers.push(...tiers)
    const { infoHash, host, counters, onAnnouncement, onWarning } = this.#options
    const announcement = announceTiers(
      tiers,
      { infoHash, peerId: host.peerId, port: host.port, counters },
      { udp: host.udpTrackers, localAddress: host.localAddress, onWarning }
    )
    this.#announcements.push(announcement)
    onAnnouncement(announcement)
    return tiers.flat()
  }

  /** The download is complete. */
  completed(): void {
    for (const announcement of this.#announcements) announcement.completed()
  }

  /** Says goodbye to all; resolves in bounded time. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= Promise.all(this.#announcements.map((one) => one.close())).then(() => {})
    return this.#closing
  }
}
