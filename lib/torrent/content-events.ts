import type { RecordExtras } from '../storage/resume-writer.ts'
import type { TorrentFile } from './torrent-file.ts'

/** Callbacks of a torrent's data to its session; {@link Content} and its parts call them. */
export interface ContentEvents {
  /** Every byte of a file is verified and stored in the file itself. */
  fileDone(file: TorrentFile): void
  /** Completeness of the selection may have changed. */
  changed(): void
  warning(error: Error): void
  /** Storage failed: nothing is requested until `recover`. */
  error(error: Error): void
  /** A stream has opened or moved its readahead window. */
  reading(): void
  /** A stream was opened or closed. */
  streamsChanged(): void
  remember(): RecordExtras
}
