import type { Layout } from '../metainfo/layout.ts'

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
   * data was never written.
   */
  read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number>
  /** Writes the chunks one after the other from `byteOffset`; they are borrowed until the promise settles. */
  write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void>
  /** Resolves when everything written before is safe against a power cut. */
  sync(): Promise<void>
  /** Releases everything; idempotent. Later calls reject with ERR_STORAGE_CLOSED. */
  close(): Promise<void>
  /** Closes and removes what this storage wrote, and nothing else. */
  delete(): Promise<void>
}
