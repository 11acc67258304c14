import type { SegmentFolder } from '../hash/hash-job.ts'
import type { Layout, Range } from '../metainfo/layout.ts'

/** A symbolic link below the folder of a torrent that is followed. */
export interface StorageLink {
  /** Path inside the torrent, with `/`; `./` is the torrent's root folder. */
  readonly path: string
  /** Real path of the target. */
  readonly target: string
}

/** Contiguous bytes within one file, which a hash worker can read on its own thread. */
export interface StorageSegment {
  /** Absolute path, or undefined for the zeros of a pad file (BEP 47). The file may be missing or too short. */
  readonly path: string | undefined
  /** Offset of the first byte in the file. */
  readonly fileOffset: number
  /** Length in bytes. */
  readonly length: number
  /** A folder above the file; it must exist, and no symbolic link is followed below it. */
  readonly folder?: SegmentFolder | undefined
}

/** Size and time of a file, which show whether it changed since a resume record was made. */
export interface FileStat {
  /** Size in bytes. */
  readonly size: number
  /** Time of the last change of the content, in nanoseconds since 1970. */
  readonly mtimeNs: bigint
}

/** State of a torrent's files, determined without reading them. */
export interface StorageStats {
  /** One entry for each file of the layout; undefined for missing files and pad files. */
  readonly files: readonly (FileStat | undefined)[]
  /** State of the parts file, which holds bytes of unwanted files; undefined when it holds none. */
  readonly parts: { readonly stat: FileStat; readonly ranges: readonly Range[] } | undefined
}

/**
 * Storage of a torrent's bytes, addressed by their offset in the torrent. Calls may overlap. A write is visible to every read that begins
 * after the write has resolved. I/O errors reject with a TorrentError.
 */
export interface Storage {
  /** Opens the storage; called once, first. `wanted[i]` tells whether `layout.files[i]` may be created; other files must not be. */
  open(layout: Layout, wanted: readonly boolean[]): Promise<void>
  /** Changes which files are wanted; bytes already written to unwanted files stay readable. */
  select?(wanted: readonly boolean[]): Promise<void>
  /**
   * Reads into `target` from `byteOffset`; returns how many contiguous bytes from its start are stored. Fewer than requested only where
   * data was never written. `target` must not be used until the promise settles, even after an abort.
   */
  read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number>
  /**
   * Writes the chunks in sequence from `byteOffset`; they must not change until the promise settles. A range that ends beyond the torrent
   * is a RangeError.
   */
  write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void>
  /** Flushes all earlier writes to disk. */
  sync(): Promise<void>
  /** Closes files and frees memory; idempotent. Later calls reject with ERR_STORAGE_CLOSED. */
  close(): Promise<void>
  /** Closes, then deletes what this storage wrote, and nothing else. */
  delete(): Promise<void>
  /** Returns where hash workers can read bytes, in order and without gaps; absent when they are not in files. */
  segments?(byteOffset: number, length: number): StorageSegment[]
  /** Returns sizes and times for the resume record; absent when nothing outlives the process. */
  stats?(): Promise<StorageStats>
  /**
   * Returns whether all stored bytes of a file are in the file itself; unwanted files may have bytes elsewhere. For an empty file, returns
   * whether it exists. Absent when bytes are never stored elsewhere.
   */
  inPlace?(fileIndex: number): boolean
  /** Paths that `delete` would remove; saved in the resume record and passed to the next storage. */
  readonly created?: readonly string[]
  /** Symbolic links that are followed; saved in the resume record and passed to the next storage. */
  readonly links?: readonly StorageLink[] | undefined
}
