import type { ScanOptions } from './scan-files.ts'

/** Options of `createTorrent`. */
export interface CreateOptions extends ScanOptions {
  /** Bytes of a piece, a power of two from 16 KiB to 512 MiB; by default 16 KiB to 16 MiB, for 1000 to 2000 pieces. */
  readonly pieceLength?: number
  /** Tracker URLs, each a tier of its own, or lists of URLs that are tiers (BEP 12). */
  readonly trackers?: readonly (string | readonly string[])[]
  /** Web seed URLs (BEP 19). */
  readonly webSeeds?: readonly string[]
  /** Whether peers come only from the trackers (BEP 27); default false. */
  readonly private?: boolean
  /** Comment for readers. */
  readonly comment?: string
  /** Program name in the torrent; default `piecewise/<version>`, `false` omits it. */
  readonly createdBy?: string | false
  /** Default now; `false` omits it, so that the same files always give the same bytes. */
  readonly creationDate?: Date | false
  /** Text in `info` that changes the info hash, so that the same files can be on two trackers as two torrents. */
  readonly source?: string
  /** Called after each hashed piece. */
  readonly onProgress?: (progress: CreateProgress) => void
}

/** Progress of hashing. */
export interface CreateProgress {
  /** Bytes hashed so far. */
  readonly hashedBytes: number
  /** Bytes to hash in all. */
  readonly totalBytes: number
}

/** The names of {@link CreateOptions}, as a record, so that a forgotten option does not compile. */
export const createOptionNames: Record<keyof CreateOptions, true> = {
  name: true,
  ignore: true,
  signal: true,
  pieceLength: true,
  trackers: true,
  webSeeds: true,
  private: true,
  comment: true,
  createdBy: true,
  creationDate: true,
  source: true,
  onProgress: true
}
