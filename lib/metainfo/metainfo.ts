import type { InfoHashes } from './info-hashes.ts'
import type { Spelling } from './spelling.ts'

/** One file as the torrent describes it; a pad file (BEP 47) never reaches the disk and is not shown to callers. */
export interface FileEntry {
  /** Safe relative path with `/` between elements; unique in the torrent, also without regard to case. */
  readonly path: string
  /** The last element of `path`. */
  readonly name: string
  /** Bytes. */
  readonly length: number
  /** First byte in the torrent's one long byte string. */
  readonly offset: number
  /** Whether this only fills up to a piece border. */
  readonly pad: boolean
  /** Whether the file should be executable (BEP 47 `x`). */
  readonly executable: boolean
  /** Whether the file should be hidden (BEP 47 `h`). */
  readonly hidden: boolean
  /** Index in the torrent's own list (BEP 53), if symbolic links, which are left out here, stand before it there. */
  readonly listIndex?: number
}

/** Everything a .torrent says, checked and decoded. */
export interface Metainfo {
  readonly infoHashes: InfoHashes
  /** The raw bencoded `info` dictionary: what peers exchange (BEP 9) and what is hashed. */
  readonly info: Uint8Array
  /** Safe name of the file or folder; without a leading dot, unless an earlier version stored it so. */
  readonly name: string
  /** How `name` and the paths of `files` are spelled, if other programs or earlier versions may have stored some under other names. */
  readonly spelling?: Spelling
  /** Bytes of all files, pad files included. */
  readonly length: number
  /** Bytes of each piece but the last. */
  readonly pieceLength: number
  /** 20 bytes for each piece. */
  readonly pieces: Uint8Array
  /** In the order of the torrent, pad files included; a single file's path is its name, else paths begin with `name`. */
  readonly files: readonly FileEntry[]
  /** Whether the torrent has one file without a folder. */
  readonly singleFile: boolean
  /** Peers only from the trackers (BEP 27). */
  readonly private: boolean
  /** Tracker URLs by tier (BEP 12). */
  readonly announce: readonly (readonly string[])[]
  /** Web seed URLs (BEP 19 `url-list`). */
  readonly webSeeds: readonly string[]
  /** HTTP seed URLs (BEP 17 `httpseeds`). */
  readonly httpSeeds: readonly string[]
  /** DHT nodes to start from, `host:port` (BEP 5). */
  readonly nodes: readonly string[]
  readonly comment?: string
  readonly createdBy?: string
  readonly creationDate?: Date
}
