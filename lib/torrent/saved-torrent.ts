import type { Range } from '../metainfo/layout.ts'

/** Peers that outlive a run in which the metadata did not come. */
export const mostSavedPeers = 50

/** The facts about a torrent that a restart needs, apart from its metadata and its resume record. */
export interface SavedTorrent {
  /** The v1 info hash, 40 hexadecimal digits. */
  readonly infoHash: string
  /** The v2 info hash, 64 hexadecimal digits. */
  readonly infoHashV2?: string | undefined
  /** A name until the metadata is known. */
  readonly name?: string | undefined
  /** Folder for the data. */
  readonly path: string
  /** Mode of that folder when it is made. */
  readonly folderMode?: number | undefined
  /** Absolute path of each file, when they lie elsewhere. */
  readonly filePaths?: readonly string[] | undefined
  /** The selection that was asked for; once there is a resume record, that has it. */
  readonly select?: 'all' | 'none' | readonly number[] | undefined
  /** The same as half-open ranges of the torrent's own list of files (BEP 53), if `select` says nothing. */
  readonly selectOnly?: readonly Range[] | undefined
  /** All trackers, by tier. */
  readonly trackers: readonly (readonly string[])[]
  /** Tracker URLs that the program gave, which may lead anywhere; missing in sessions of 0.1.0. */
  readonly trustedTrackers?: readonly string[] | undefined
  /** Some peers, `host:port`, while the metadata is not known; afterwards the resume record has them. */
  readonly peers: readonly string[]
  /** Whether the user has paused it. */
  readonly paused: boolean
  /** Whether it has stopped at its goal. */
  readonly finished: boolean
  /** Whether the user had it go on beyond its goal. */
  readonly goalWaived: boolean
  /** Its own goals; the client's count where there is none. */
  readonly seedRatio?: number | undefined
  readonly seedTime?: number | undefined
  /** Limits of this torrent alone in bytes per second; undefined for none. */
  readonly downloadLimit?: number | undefined
  readonly uploadLimit?: number | undefined
  readonly superSeeding: boolean
  /** Whether files that were there before it may be overwritten. */
  readonly overwrite?: boolean | undefined
  /** Whether it is known to be private (BEP 27): the metadata may be lost, and nobody but its trackers is to hear of it even so. */
  readonly private: boolean
  /** Bytes, over all runs. */
  readonly uploaded: number
  readonly downloaded: number
  /** Seconds that it ran, and that it ran as a seed, over all runs. */
  readonly secondsActive: number
  readonly secondsSeeding: number
  /** Whether every byte has been here once, of which trackers hear but once. */
  readonly completed?: boolean
  /** When it was added, in milliseconds since 1970. */
  readonly addedMs: number
}
