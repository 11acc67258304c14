import type { RecordExtras } from '../storage/resume-writer.ts'
import type { TorrentFile } from './torrent-file.ts'

/** Events and questions of the data of a torrent to its session; the parts of the data call it themselves. */
export interface ContentEvents {
  /** Every byte of a file is stored in its own file. */
  fileDone(file: TorrentFile): void
  /** The selected pieces may have become complete, or incomplete. */
  changed(): void
  warning(error: Error): void
  /** Storage failed: nothing more is fetched until `recover`. */
  error(error: Error): void
  /** A stream has opened a window or moved it. */
  reading(): void
  /** A stream was opened or closed. */
  streamsChanged(): void
  remember(): RecordExtras
}
