import type { InfoHashes } from '../metainfo/info-hashes.ts'
import type { Range } from '../metainfo/layout.ts'
import type { DataFolder } from './data-folder.ts'
import type { AddOptions } from './torrent-options.ts'

/** Options of {@link Content}. */
export interface ContentOptions extends Omit<AddOptions, 'path'>, DataFolder {
  /** Info hashes that the torrent was added with; they stay the same when the metadata adds another. */
  readonly infoHashes: InfoHashes
  /** Selection used without `select`: half-open ranges of the torrent's own file list (BEP 53). */
  readonly selectOnly?: readonly Range[] | undefined
  /** Whether the data was just hashed by `seed` and is complete. */
  readonly complete?: boolean | undefined
}
