import type { PeerAddress } from '../util/address.ts'

/** Event of an announce; undefined for a regular one (BEP 3). */
export type AnnounceEvent = 'started' | 'completed' | 'stopped' | undefined

/** Bytes transferred since `started`, and bytes still missing. */
export interface AnnounceCounters {
  /** Bytes sent since `started`. */
  readonly uploaded: number
  /** Bytes received since `started`. */
  readonly downloaded: number
  /** Bytes that are still missing. */
  readonly left: number
}

/** Value of `left` while the length is unknown: above 0, so that trackers return seeds too. */
export const unknownLeft = 16_384

/** Parameters of one announce. */
export interface AnnounceParameters extends AnnounceCounters {
  /** 20 bytes. */
  readonly infoHash: Uint8Array
  /** 20 bytes. */
  readonly peerId: Uint8Array
  /** Port on which peers can reach us. */
  readonly port: number
  /** 32-bit number that identifies us to the tracker, and only to it, when our address changes. */
  readonly key: number
  /** Number of peers to ask for. */
  readonly numwant: number
  /** Event of the announce; none for regular ones. */
  readonly event?: AnnounceEvent
  /** The `tracker id` that this tracker sent last. */
  readonly trackerId?: Uint8Array | undefined
}

/** A tracker's answer to an announce; counts that it left out are undefined. */
export interface TrackerReply {
  /**
   * At most 4,096 peers, in the tracker's order and possibly with duplicates. Peers on a narrower network than
   * the tracker are left out: loopback is narrower than a private network, and that is narrower than the public
   * one.
   */
  readonly peers: readonly PeerAddress[]
  /** Interval that the tracker asks for, unclamped; undefined if missing or not positive. */
  readonly intervalMs: number | undefined
  /** Minimum interval that the tracker allows, unclamped. */
  readonly minIntervalMs: number | undefined
  /** Number of seeds. */
  readonly complete: number | undefined
  /** Number of peers that are still downloading. */
  readonly incomplete: number | undefined
  /** Number of completed downloads. */
  readonly downloaded: number | undefined
  /** Warning text for the user, at most 200 characters, without control characters. */
  readonly warning: string | undefined
  /** Our address as the tracker sees it (BEP 24). */
  readonly externalHost: string | undefined
  /** Bytes to send back with the next announce. */
  readonly trackerId: Uint8Array | undefined
}

/** A tracker's counts for one torrent (BEP 48). */
export interface ScrapeResult {
  /** Number of seeds. */
  readonly complete: number
  /** Number of peers that are still downloading. */
  readonly incomplete: number
  /** Number of completed downloads. */
  readonly downloaded: number
}

/** Retransmission schedule of a UDP request: attempt n (from 0) waits `firstTimeoutMs` * 2^n for its answer (BEP 15). */
export interface UdpSchedule {
  /** Milliseconds to wait after the first attempt. */
  readonly firstTimeoutMs: number
  /** Number of attempts after the first one. */
  readonly retries: number
}
