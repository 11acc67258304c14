import type { InfoHashes } from './info-hashes.ts'
import type { Spelling } from './spelling.ts'

/** One file of a torrent; a pad file (BEP 47) is never written to disk and is hidden from callers. */
export interface FileEntry {
  /** Safe relative path with `/` between elements; unique in the torrent, ignoring case. */
  readonly path: string
  /** The last element of `path`. */
  readonly name: string
  /** Length in bytes. */
  readonly length: number
  /** Offset of the first byte in the torrent. */
  readonly offset: number
  /** Whether this is a pad file, which only fills up to a piece boundary. */
  readonly pad: boolean
  /** Whether the file should be executable (BEP 47 `x`). */
  readonly executable: boolean
  /** Whether the file should be hidden (BEP 47 `h`). */
  readonly hidden: boolean
  /** Index in the torrent's own list (BEP 53). Set only if it differs because symbolic links before this file were skipped. */
  readonly listIndex?: number
}

/** The checked and decoded contents of a .torrent. */
export interface Metainfo {
  /** Info hashes of the torrent: v1, v2 or both. */
  readonly infoHashes: InfoHashes
  /** The raw bencoded `info` dictionary: peers exchange it (BEP 9), and its hash is the info hash. */
  readonly info: Uint8Array
  /** Safe name of the file or folder; without a leading dot, unless an earlier version stored it with one. */
  readonly name: string
  /**
   * How `name` and the paths of `files` are spelled. Set only if other spellings exist, under which other programs or earlier versions
   * may have stored files.
   */
  readonly spelling?: Spelling
  /** Bytes of all files, pad files included. */
  readonly length: number
  /** Bytes of each piece but the last. */
  readonly pieceLength: number
  /** SHA-1 hashes, 20 bytes for each piece. */
  readonly pieces: Uint8Array
  /** In the order of the torrent, pad files included. The path of a single file is its name; other paths begin with `name`. */
  readonly files: readonly FileEntry[]
  /** Whether the torrent is one file without a folder. */
  readonly singleFile: boolean
  /** Whether peers come only from the trackers (BEP 27). */
  readonly private: boolean
  /** Tracker URLs by tier (BEP 12). */
  readonly announce: readonly (readonly string[])[]
  /** Web seed URLs (BEP 19 `url-list`). */
  readonly webSeeds: readonly string[]
  /** HTTP seed URLs (BEP 17 `httpseeds`). */
  readonly httpSeeds: readonly string[]
  /** DHT bootstrap nodes, `host:port` (BEP 5). */
  readonly nodes: readonly string[]
  /** Comment of the author. */
  readonly comment?: string
  /** Program that made the .torrent. */
  readonly createdBy?: string
  /** When the .torrent was made. */
  readonly creationDate?: Date
}
