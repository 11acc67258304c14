import { hostOfUrl } from '../net/url-host.ts'
import type { Announcement } from '../tracker/announcement.ts'
import type { AnnounceCounters } from '../tracker/request.ts'
import { announceTiers } from '../tracker/tiers.ts'
import type { TrackerStatus } from '../tracker/tracker-state.ts'
import { LazySet } from '../util/lazy-collections.ts'
import { argumentError } from '../util/options.ts'
import { checkTrust } from '../util/trust.ts'
import type { SwarmHost } from './swarm-host.ts'

/** Tracker URLs. A string is a tier of its own; a list is one tier (BEP 12). */
export type TrackerTiers = readonly (string | readonly string[])[]

/**
 * Checks arguments of `addTrackers`.
 * @throws TorrentError ERR_CLIENT_OPTION unless `trackers` is a list of URLs or of lists of URLs, and `trust` is valid.
 */
export function checkTrackers(trackers: unknown, trust?: unknown): void {
  const isText = (url: unknown): boolean => typeof url === 'string'
  const isTier = (tier: unknown): boolean => isText(tier) || (Array.isArray(tier) && tier.every(isText))
  if (!Array.isArray(trackers) || !trackers.every(isTier))
    throw argumentError('trackers', 'must be a list of URLs, or of lists of URLs')
  checkTrust(trust, argumentError)
}

/** Milliseconds that a tracker has to answer `stopped`, and `completed` before it. Short, because the client waits for it when it closes. */
const goodbyeMs = 1200

/** Options and callbacks of a {@link TrackerSet}. */
export interface TrackerSetOptions {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  readonly host: Pick<SwarmHost, 'peerId' | 'port' | 'network' | 'udpTrackers' | 'announcePace' | 'own'>
  /** Returns the bytes transferred and missing; called for each announce. */
  counters(): AnnounceCounters
  /** Called with each new announcement, which yields peers. */
  onAnnouncement(announcement: Announcement): void
  onWarning(warning: Error): void
}

/** The trackers of a torrent. More can be added at any time; duplicate URLs are ignored. */
export class TrackerSet {
  readonly #options: TrackerSetOptions
  #tiers: readonly (readonly string[])[] = []
  /** URLs that the program gave. */
  readonly #trusted = new LazySet<string>()
  #announcements: Announcement[] = []
  /** Pending `stopped` announces. */
  readonly #leaving = new LazySet<Promise<void>>()
  #active = true
  /** Whether the download was completed while the set was inactive. */
  #owesCompleted = false
  /** Whether announces resume once the pending `stopped` announces end, so that a tracker does not get them in the wrong order. */
  #returning = false
  #closing: Promise<void> | undefined

  constructor(options: TrackerSetOptions) {
    this.#options = options
  }

  /** All tracker URLs, by tier. */
  get tiers(): readonly (readonly string[])[] {
    return this.#tiers
  }

  get statuses(): readonly TrackerStatus[] {
    if (!this.#active || this.#returning)
      return this.#tiers.flatMap((urls, tier) => urls.map((url) => unasked(url, tier)))
    const asked = this.#announcements.flatMap(({ trackers }) => trackers)
    if (this.#options.host.network.carriesUdp) return asked
    const known = new Set(asked.map(({ url }) => url))
    const unused = this.#tiers.flatMap((urls, tier) =>
      urls.filter((url) => !known.has(url)).map((url) => unasked(url, tier))
    )
    return [...asked, ...unused]
  }

  /** Tracker URLs that the program gave. */
  get trusted(): readonly string[] {
    return [...this.#trusted]
  }

  /** Marks URLs as given by the program, now or in an earlier run. They may name any host, even if another source names them too. */
  trust(urls: readonly string[]): void {
    for (const url of urls) this.#trusted.add(url.trim())
  }

  /** Adds trackers and announces to the new ones; returns the new URLs. */
  add(trackers: TrackerTiers): string[] {
    if (this.#closing !== undefined) return []
    const known = new Set(this.#tiers.flat())
    const tiers = newTiers(trackers, known)
    if (tiers.length === 0) return []
    // concat() allocates the exact length; push() would reserve room for more.
    this.#tiers = this.#tiers.concat(tiers)
    if (this.#active && !this.#returning) this.#announce(tiers)
    return tiers.flat()
  }

  /** Announces `stopped` to all trackers, or `started` again. */
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

  /** Announces `completed`, after the last missing byte was downloaded. */
  completed(): void {
    this.#owesCompleted = !this.#active || this.#returning
    for (const announcement of this.#announcements) announcement.completed()
  }

  /** Announces again, as soon as the trackers' intervals allow, because our port has changed. */
  announceNow(): void {
    for (const announcement of this.#announcements) announcement.announceNow()
  }

  /** Corrects trackers that were told of missing bytes, after a check found every byte on disk. */
  nothingLeft(): void {
    for (const announcement of this.#announcements) announcement.nothingLeft()
  }

  /** Announces `stopped` to all trackers, after a pending `completed`; resolves in bounded time. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#leave(), ...this.#leaving]).then(() => {})
    return this.#closing
  }

  async #leave(): Promise<void> {
    const announcements = this.#announcements
    this.#announcements = []
    await Promise.all(announcements.map((one) => one.close()))
  }

  /** Announces to trackers; with a proxy that carries no UDP, UDP trackers are left out. */
  #announce(all: readonly (readonly string[])[]): void {
    const isUsable = (url: string): boolean => this.#options.host.network.carriesUdp || !/^\s*udp:/i.test(url)
    const tiers = all.map((urls) => urls.filter(isUsable)).filter((urls) => urls.length > 0)
    if (tiers.length === 0) return
    const { infoHash, host, counters, onAnnouncement, onWarning } = this.#options
    const announcement = announceTiers(
      tiers,
      {
        infoHash,
        peerId: host.peerId,
        get port() {
          return host.port
        },
        counters
      },
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

/** Returns the tiers without URLs that are known or come twice, and without empty tiers. */
export function newTiers(trackers: TrackerTiers, known: ReadonlySet<string>): string[][] {
  const seen = new Set(known)
  return trackers
    .map((tier) =>
      (typeof tier === 'string' ? [tier] : tier).filter((url) => !seen.has(url) && seen.add(url)).slice()
    )
    .filter((tier) => tier.length > 0)
}

/** Returns the status of a tracker that is not announced to. */
function unasked(url: string, tier: number): TrackerStatus {
  return { url, tier, status: 'idle', last: undefined, error: undefined, nextAnnounceAt: undefined }
}
