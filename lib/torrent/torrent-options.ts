import type { Range } from '../metainfo/layout.ts'
import type { Storage } from '../storage/storage.ts'
import type { PeerAddress } from '../util/address.ts'
import type { Trust } from '../util/trust.ts'

/** Options of `client.add`. */
export interface AddOptions {
  /** Folder for the data; by default `piecewise/<infoHash>` below the client's `path` or the OS folder for temporary files. */
  readonly path?: string | undefined
  /**
   * What to download: `'all'` (the default), `'none'` (only what streams read), or the indices into `torrent.files`. After a
   * restart the selection of the last run counts if none is given.
   */
  readonly select?: 'all' | 'none' | readonly number[] | undefined
  /** Tracker URLs besides those of the torrent: one tier each, or tiers of several. */
  readonly trackers?: readonly (string | readonly string[])[] | undefined
  /** Peers to try at once: `host:port` or objects. */
  readonly peers?: readonly (string | PeerAddress)[] | undefined
  /**
   * Whether the program vouches for the source and for `trackers` and `peers` (`'program'`, the default), or hands on what somebody else
   * gave it (`'remote'`): then a URL leads to public hosts alone, no path is read, and trackers and peers reach no further than those of a
   * magnet link. What the source itself names is never vouched for.
   */
  readonly trust?: Trust | undefined
  /** Where the bytes go instead of files. */
  readonly storage?: Storage | undefined
  /** Aborts the wait for the torrent's files, and removes the torrent if they are not known by then. */
  readonly signal?: AbortSignal | undefined
  /** `true` hashes all data that is found, whatever the resume record says. */
  readonly verify?: boolean | undefined
  /**
   * `true` writes over files that are there already. By default (`false`) a file is left alone that no resume record names and of which
   * no piece is verified, unless it is empty or holds only zeros: then the torrent stops with ERR_STORAGE_EXISTS, and goes on by
   * `resume()` once the file is moved away, or after `add` with `overwrite: true`.
   */
  readonly overwrite?: boolean | undefined
  /** Begins paused, or (false) not; without it a torrent that was paused when it was last closed stays so. */
  readonly paused?: boolean | undefined
  /** Uploaded bytes for each byte downloaded after which it stops as `finished`; by default the client's `seedRatio`. */
  readonly seedRatio?: number | undefined
  /** Milliseconds as a seed after which it stops as `finished`; by default the client's `seedTime`. */
  readonly seedTime?: number | undefined
  /** Bytes per second for this torrent, besides the limits of the client; `Infinity` (the default) is no limit, 0 stops. */
  readonly downloadLimit?: number | undefined
  /** Bytes per second for this torrent, besides the limits of the client; `Infinity` (the default) is no limit, 0 stops. */
  readonly uploadLimit?: number | undefined
  /** Shows each peer few pieces at a time while we are the only seed, so that none is sent twice early on (BEP 16); default false. */
  readonly superSeeding?: boolean | undefined
}

/** What `select` and `deselect` take: files, their indices, byte ranges `[start, end)` of the torrent, or lists of these. */
export type SelectTarget = SelectItem | readonly SelectItem[]

/**
 * A file, its index in `torrent.files`, or a byte range `[start, end)` of the torrent. Offsets count pad files (BEP 47), as `file.offset`
 * does; an `end` of `torrent.length`, which does not count them, is the end of the last file.
 */
export type SelectItem =
  | number
  | Range
  | { readonly path: string; readonly offset: number; readonly length: number }
