import type { PeerAddress } from '../util/address.ts'

/** What an announce reports besides the counters; undefined in a regular one (BEP 3). */
export type AnnounceEvent = 'started' | 'completed' | 'stopped' | undefined

/** Bytes transferred since `started`, and bytes still missing. */
export interface AnnounceCounters {
  readonly uploaded: number
  readonly downloaded: number
  readonly left: number
}

/** The value of `left` while the length is unknown: more than nothing, so that trackers name seeds too. */
export const unknownLeft = 16_384

/** One announce, complete. */
export interface AnnounceParameters extends AnnounceCounters {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  /** 20 bytes. */
  readonly peerId: Uint8Array
  /** The port that peers may dial. */
  readonly port: number
  /** A number of 32 bits that proves to the tracker, and to nobody else, who we are when our address changes. */
  readonly key: number
  /** How many peers are wanted. */
  readonly numwant: number
  readonly event?: AnnounceEvent
  /** What this tracker gave as its `tracker id`. */
  readonly trackerId?: Uint8Array | undefined
}

/** What a tracker answered to an announce; a count that it did not tell is undefined. */
export interface TrackerReply {
  /** At most 4096, as the tracker gave them but for those that are nearer to us than itself; duplicates are possible. */
  readonly peers: readonly PeerAddress[]
  /** When the tracker wants the next announce, as it said so: no bound is applied. Undefined when missing or not above 0. */
  readonly intervalMs: number | undefined
  /** The tracker's shortest time between announces, as it said so. */
  readonly minIntervalMs: number | undefined
  /** Seeds. */
  readonly complete: number | undefined
  /** Peers that still download. */
  readonly incomplete: number | undefined
  /** How often the torrent was completed. */
  readonly downloaded: number | undefined
  /** A message for people; control characters are taken out and the length is bounded. */
  readonly warning: string | undefined
  /** Our address as the tracker sees it (BEP 24). */
  readonly externalHost: string | undefined
  /** To be sent back with the next announce. */
  readonly trackerId: Uint8Array | undefined
}

/** What a tracker knows of one torrent (BEP 48). */
export interface ScrapeResult {
  /** Seeds. */
  readonly complete: number
  /** Peers that still download. */
  readonly incomplete: number
  /** How often the torrent was completed. */
  readonly downloaded: number
}

/** How often, and how patiently, a UDP request is sent: the n-th try waits `firstTimeoutMs` * 2^n for its answer (BEP 15). */
export interface UdpSchedule {
  /** Milliseconds that the first try waits. */
  readonly firstTimeoutMs: number
  /** How many tries follow the first one. */
  readonly retries: number
}
