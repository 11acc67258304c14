import type { ScanOptions } from './scan-files.ts'

/** How to make a torrent. */
export interface CreateOptions extends ScanOptions {
  /** Bytes of a piece, a power of two from 16 KiB to 512 MiB; by default 16 KiB to 16 MiB, for 1000 to 2000 pieces. */
  readonly pieceLength?: number
  /** Tracker URLs, each a tier of its own, or lists of URLs that are tiers (BEP 12). */
  readonly trackers?: readonly (string | readonly string[])[]
  /** Web seed URLs (BEP 19). */
  readonly webSeeds?: readonly string[]
  /** Peers only from the trackers (BEP 27); false by default. */
  readonly private?: boolean
  readonly comment?: string
  /** `piecewise/<version>` by default; `false` leaves it out. */
  readonly createdBy?: string | false
  /** Now by default; `false` leaves it out, so that the same files always give the same bytes. */
  readonly creationDate?: Date | false
  /** Goes into `info`, so that the same files on another tracker are another torrent. */
  readonly source?: string
  /** Told after each piece. */
  readonly onProgress?: (progress: CreateProgress) => void
}

/** How far the hashing is. */
export interface CreateProgress {
  readonly hashedBytes: number
  readonly totalBytes: number
}

/** The names of {@link CreateOptions}: a record, so that an option that is missing here does not compile. */
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
