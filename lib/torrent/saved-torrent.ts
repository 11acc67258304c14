import type { Range } from '../metainfo/layout.ts'

/** Maximum number of peers that are saved for a torrent without metadata. */
export const mostSavedPeers = 50

/** A torrent in the saved list: what a restart needs besides its metadata and its resume record. */
export interface SavedTorrent {
  /** The v1 info hash, 40 hexadecimal digits. */
  readonly infoHash: string
  /** The v2 info hash, 64 hexadecimal digits. */
  readonly infoHashV2?: string | undefined
  /** Name of the file or folder, which a restored torrent shows until its metadata is read, or that of the magnet link. */
  readonly name?: string | undefined
  /** Folder for the data. */
  readonly path: string
  /** Mode with which `path` is created. */
  readonly folderMode?: number | undefined
  /** Absolute path of each file, for data that is seeded in place. */
  readonly filePaths?: readonly string[] | undefined
  /** Selection by the option of `add`, until the resume record has one. */
  readonly select?: 'all' | 'none' | readonly number[] | undefined
  /** Selection without `select`: half-open ranges of the torrent's own file list (BEP 53). */
  readonly selectOnly?: readonly Range[] | undefined
  /** All trackers, by tier. */
  readonly trackers: readonly (readonly string[])[]
  /** Tracker URLs that the program added, without restrictions on local addresses. Missing in lists of version 0.1.0. */
  readonly trustedTrackers?: readonly string[] | undefined
  /** Peers as `host:port` while the metadata is unknown; afterwards the resume record has them. */
  readonly peers: readonly string[]
  readonly paused: boolean
  /** Whether it has stopped at `seedRatio` or `seedTime`. */
  readonly finished: boolean
  /** Whether the user has resumed it beyond its goal. */
  readonly goalWaived: boolean
  /** Goals of this torrent (ratio, milliseconds); undefined means the client's. */
  readonly seedRatio?: number | undefined
  readonly seedTime?: number | undefined
  /** Limits of this torrent in bytes per second; undefined means none. */
  readonly downloadLimit?: number | undefined
  readonly uploadLimit?: number | undefined
  readonly superSeeding: boolean
  /** Whether files that existed before the torrent may be overwritten. */
  readonly overwrite?: boolean | undefined
  /** Whether it is private (BEP 27). Saved so that only its trackers hear of it even if the metadata is lost. */
  readonly private: boolean
  /** Payload bytes, over all runs. */
  readonly uploaded: number
  readonly downloaded: number
  /** Seconds of running and of seeding, over all runs. */
  readonly secondsActive: number
  readonly secondsSeeding: number
  /** Whether the torrent was ever complete; trackers are told only once. */
  readonly completed?: boolean
  /** When it was added, in milliseconds since 1970. */
  readonly addedMs: number
}
