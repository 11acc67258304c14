import type { Range } from '../metainfo/layout.ts'
import type { Storage } from '../storage/storage.ts'
import type { PeerAddress } from '../util/address.ts'
import type { Trust } from '../util/trust.ts'

/** Options of `client.add`. */
export interface AddOptions {
  /** Folder for the data; default: the client's `path`, or else a folder per torrent in the OS folder for temporary files. */
  readonly path?: string | undefined
  /**
   * Files to download: `'all'`, `'none'` (only what streams read), or indices into `torrent.files`. Default: `so=` of the magnet link
   * (BEP 53), or else the selection of the last run, or else `'all'`.
   */
  readonly select?: 'all' | 'none' | readonly number[] | undefined
  /** Tracker URLs in addition to those of the source: a URL is a tier of its own, an array is a tier of several. */
  readonly trackers?: readonly (string | readonly string[])[] | undefined
  /** Peers to connect to at once: `host:port` or objects. */
  readonly peers?: readonly (string | PeerAddress)[] | undefined
  /**
   * Trust in the source, `trackers` and `peers`. Use `'remote'` for sources that your program got from someone else: paths are refused,
   * URLs may lead only to public hosts, and trackers and peers are restricted like those of a magnet link. Default `'program'`. Addresses
   * inside the source are always restricted.
   */
  readonly trust?: Trust | undefined
  /** Storage that replaces files on disk. Such a torrent is not restored after a restart. */
  readonly storage?: Storage | undefined
  /** Aborts the wait for the torrent's files. If they are not known then and no other `add` waits, the torrent is closed. */
  readonly signal?: AbortSignal | undefined
  /** With `true`, hashes all existing data regardless of the resume record, and accepts symbolic links that exist now. Default `false`. */
  readonly verify?: boolean | undefined
  /**
   * With `true`, overwrites existing files. With `false`, the default, a file that no resume record names and that has no verified piece
   * stops the torrent with ERR_STORAGE_EXISTS, unless it is empty or all zeros. Move the file away and call `resume()`, or call `add`
   * again with `overwrite: true`.
   */
  readonly overwrite?: boolean | undefined
  /** Whether the torrent begins paused; default: as it was when it was last closed. */
  readonly paused?: boolean | undefined
  /** Ratio (bytes uploaded per byte downloaded) at which it stops as `finished`; default: the client's `seedRatio`. */
  readonly seedRatio?: number | undefined
  /** Milliseconds of seeding after which it stops as `finished`; default: the client's `seedTime`. */
  readonly seedTime?: number | undefined
  /** Bytes per second that this torrent receives, within the client's limit; 0 stops. Default `Infinity`. */
  readonly downloadLimit?: number | undefined
  /** Bytes per second that this torrent sends, within the client's limit; 0 stops. Default `Infinity`. */
  readonly uploadLimit?: number | undefined
  /** Super-seeding (BEP 16), for the only seed of a new torrent: each peer is shown only a few pieces at a time. Default `false`. */
  readonly superSeeding?: boolean | undefined
}

/** Argument of `select` and `deselect`: a file, its index, a byte range of the torrent, or a list of these. */
export type SelectTarget = SelectItem | readonly SelectItem[]

/**
 * A file, its index in `torrent.files`, or a byte range `[start, end)` of the torrent. Byte offsets include pad files (BEP 47), like
 * `file.offset`. `torrent.length` excludes them; as an `end` it means the end of the last file.
 */
export type SelectItem =
  | number
  | Range
  | { readonly path: string; readonly offset: number; readonly length: number }
