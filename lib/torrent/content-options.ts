import type { InfoHashes } from '../metainfo/info-hashes.ts'
import type { Range } from '../metainfo/layout.ts'
import type { DataFolder } from './data-folder.ts'
import type { AddOptions } from './torrent-options.ts'

/** Choices about the data of a torrent, and where it lies. */
export interface ContentOptions extends Omit<AddOptions, 'path'>, DataFolder {
  /** The identity of the torrent for its life, whatever the metadata adds. */
  readonly infoHashes: InfoHashes
  /** Selection used without `select`: half-open ranges of the torrent's own file list (BEP 53). */
  readonly selectOnly?: readonly Range[] | undefined
  /** The data was hashed just now and is all there. */
  readonly complete?: boolean | undefined
}
