import type { SegmentFolder } from '../hash/hash-job.ts'
import type { Layout, Range } from '../metainfo/layout.ts'

/** A symbolic link below the folder of a torrent that is followed. */
export interface StorageLink {
  /** Path inside the torrent, with `/`; `./` is the torrent's own folder. */
  readonly path: string
  /** Where it leads, without symbolic links. */
  readonly target: string
}

/** A run of bytes that lies in one file, so that a hash worker can read it without this thread. */
export interface StorageSegment {
  /** Absolute path, or undefined where a pad file's zeros stand (BEP 47). The file may be missing or too short. */
  readonly path: string | undefined
  /** First byte in that file. */
  readonly fileOffset: number
  /** Bytes. */
  readonly length: number
  /** A folder above the file, which must be there, and below which no symbolic link is followed. */
  readonly folder?: SegmentFolder | undefined
}

/** What tells whether a file was touched since a resume record was made. */
export interface FileStat {
  /** Bytes. */
  readonly size: number
  /** Time of the last change of the content, in nanoseconds since 1970. */
  readonly mtimeNs: bigint
}

/** What is known of a torrent's bytes without reading them. */
export interface StorageStats {
  /** For each file of the layout; undefined where no file is on disk (pad files too). */
  readonly files: readonly (FileStat | undefined)[]
  /** The bytes of unwanted files that are kept aside, undefined when there are none. */
  readonly parts: { readonly stat: FileStat; readonly ranges: readonly Range[] } | undefined
}

/**
 * Where a torrent's bytes live, addressed by their offset in the torrent and never by piece. Calls may overlap; a
 * write is seen by every read that begins after it has resolved. Any I/O fault rejects with a TorrentError.
 */
export interface Storage {
  /** Called once, before all else. `wanted[i]` says whether `layout.files[i]` may appear; others must not. */
  open(layout: Layout, wanted: readonly boolean[]): Promise<void>
  /** Changes which files are wanted; bytes of unwanted files that were written stay readable. */
  select?(wanted: readonly boolean[]): Promise<void>
  /**
   * Fills `target` from `byteOffset` and returns how many bytes from its start are there; fewer than asked only where
   * data was never written. `target` is borrowed until the promise settles, also after an abort.
   */
  read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number>
  /**
   * Writes the chunks one after the other from `byteOffset`; they are borrowed until the promise settles. A range that
   * leaves the torrent is a RangeError.
   */
  write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void>
  /** Resolves when everything written before is safe against a power cut. */
  sync(): Promise<void>
  /** Releases everything; idempotent. Later calls reject with ERR_STORAGE_CLOSED. */
  close(): Promise<void>
  /** Closes and removes what this storage wrote, and nothing else. */
  delete(): Promise<void>
  /** Where bytes can be read by others, in order and without gaps; absent when they lie in no file. */
  segments?(byteOffset: number, length: number): StorageSegment[]
  /** Sizes and times for the resume record; absent when nothing outlives the process. */
  stats?(): Promise<StorageStats>
  /**
   * Whether all that is stored of a file of the layout is in its own file, and none of it is kept elsewhere while the file is not
   * wanted; for an empty file, whether it is there. Absent when nothing is ever kept elsewhere.
   */
  inPlace?(fileIndex: number): boolean
  /** What `delete` would remove: to be kept in the resume record and given back to the next storage. */
  readonly created?: readonly string[]
  /** Symbolic links that it follows: to be kept in the resume record and given back to the next storage. */
  readonly links?: readonly StorageLink[] | undefined
}
