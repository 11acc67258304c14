import { hostOfUrl } from '../net/url-host.ts'
import type { Announcement } from '../tracker/announcement.ts'
import type { AnnounceCounters } from '../tracker/request.ts'
import { announceTiers } from '../tracker/tiers.ts'
import type { TrackerStatus } from '../tracker/tracker-state.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { argumentError } from '../util/options.ts'
import { checkTrust } from '../util/trust.ts'
import type { SwarmHost } from './swarm-host.ts'

/** Tracker URLs: one tier each, or tiers of several (BEP 12). */
export type TrackerTiers = readonly (string | readonly string[])[]

/** @throws TorrentError ERR_CLIENT_OPTION unless it is a list of URLs, or of lists of URLs, and a trust. */
export function checkTrackers(trackers: unknown, trust?: unknown): void {
  const isText = (url: unknown): boolean => typeof url === 'string'
  const isTier = (tier: unknown): boolean => isText(tier) || (Array.isArray(tier) && tier.every(isText))
  if (!Array.isArray(trackers) || !trackers.every(isTier))
    throw argumentError('trackers', 'must be a list of URLs, or of lists of URLs')
  checkTrust(trust, argumentError)
}

/** How long a tracker may take to hear of the end, and before of a download that has just been completed: closing a client is not to take long. */
const goodbyeMs = 1200

/** Options and callbacks of a {@link TrackerSet}. */
export interface TrackerSetOptions {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  readonly host: Pick<SwarmHost, 'peerId' | 'port' | 'network' | 'udpTrackers' | 'announcePace' | 'own'>
  /** Bytes moved and missing; asked for each announce. */
  counters(): AnnounceCounters
  /** An announcement has begun: a source of peers. */
  onAnnouncement(announcement: Announcement): void
  onWarning(warning: Error): void
}

/** The trackers of a torrent, to which more may be added at any time; each URL is announced to once. */
export class TrackerSet {
  readonly #options: TrackerSetOptions
  #tiers: readonly (readonly string[])[] = []
  /** URLs that the program has given. */
  readonly #trusted = new LazySet<string>()
  #announcements: Announcement[] = []
  /** Goodbyes that are still being said. */
  readonly #leaving = new LazySet<Promise<void>>()
  #active = true
  /** The download was completed while no tracker was announced to. */
  #owesCompleted = false
  /** Active again, once the goodbyes before are said: a torrent that comes back must not be taken for gone. */
  #returning = false
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
    if (!this.#active || this.#returning)
      return this.#tiers.flatMap((urls, tier) => urls.map((url) => unasked(url, tier)))
    return this.#announcements.flatMap(({ trackers }) => trackers)
  }

  /** Tracker URLs that the program gave. */
  get trusted(): readonly string[] {
    return [...this.#trusted]
  }

  /** The program has given these URLs, now or in an earlier run: they may lead anywhere, whatever other source names them. */
  trust(urls: readonly string[]): void {
    for (const url of urls) this.#trusted.add(url.trim())
  }

  /** Announces to those trackers that are new, and returns their URLs. */
  add(trackers: TrackerTiers): string[] {
    if (this.#closing !== undefined) return []
    const known = new Set(this.#tiers.flat())
    const tiers = trackers
      .map((tier) => (typeof tier === 'string' ? [tier] : tier).filter((url) => !known.has(url)).slice())
      .filter((tier) => tier.length > 0)
    if (tiers.length === 0) return []
    // Unlike with push() no room is kept for more.
    this.#tiers = this.#tiers.concat(tiers)
    if (this.#active && !this.#returning) this.#announce(tiers)
    return tiers.flat()
  }

  /** Says goodbye to all trackers, or announces to all of them again. */
  setActive(active: boolean): void {
    if (active === this.#active || this.#closing !== undefined) return
    this.#active = active
    if (active) {
      if (this.#leaving.size === 0) this.#return()
      else this.#returning = true
      return
    }
    this.#returning = false
    const leaving = this.#leave()
    this.#leaving.add(leaving)
    void leaving.then(() => {
      this.#leaving.delete(leaving)
      if (this.#returning && this.#leaving.size === 0) this.#return()
    })
  }

  #return(): void {
    this.#returning = false
    if (this.#tiers.length === 0 || this.#closing !== undefined) return
    this.#announce(this.#tiers)
    if (this.#owesCompleted) this.completed()
  }

  /** The last missing byte was downloaded: trackers are told `completed`. */
  completed(): void {
    this.#owesCompleted = !this.#active || this.#returning
    for (const announcement of this.#announcements) announcement.completed()
  }

  /** Every byte was found: trackers that were told that bytes are missing hear at once that none is. */
  nothingLeft(): void {
    for (const announcement of this.#announcements) announcement.nothingLeft()
  }

  /** Says goodbye to all, after `completed` if a tracker is to hear that; resolves in bounded time. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#leave(), ...this.#leaving]).then(() => {})
    return this.#closing
  }

  async #leave(): Promise<void> {
    const announcements = this.#announcements
    this.#announcements = []
    await Promise.all(announcements.map((one) => one.close()))
  }

  #announce(tiers: readonly (readonly string[])[]): void {
    const { infoHash, host, counters, onAnnouncement, onWarning } = this.#options
    const announcement = announceTiers(
      tiers,
      { infoHash, peerId: host.peerId, port: host.port, counters },
      {
        udp: host.udpTrackers,
        trust: (url) => (this.#trusted.has(url) ? 'program' : 'remote'),
        network: host.network,
        pace: host.announcePace,
        stopTimeoutMs: goodbyeMs,
        onExternalHost: (seen, { url }) => host.own.told(hostOfUrl(new URL(url)), seen, 'tracker'),
        onWarning
      }
    )
    this.#announcements = this.#announcements.concat(announcement)
    onAnnouncement(announcement)
  }
}

/** A tracker that is not announced to for now. */
function unasked(url: string, tier: number): TrackerStatus {
  return { url, tier, status: 'idle', last: undefined, error: undefined, nextAnnounceAt: undefined }
}
