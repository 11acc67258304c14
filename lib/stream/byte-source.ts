import type { Layout } from '../metainfo/layout.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import type { EarlyBytes } from '../storage/verified-reader.ts'

/** Functions of a torrent that its streams call. */
export interface ByteSource {
  readonly layout: Layout
  /** Returns a number that no other window of this source has. */
  nextStreamId(): number
  /** Opens, moves or (with undefined) closes the window of a stream; `jumped` after a seek. */
  setWindow(streamId: number, window: ByteWindow | undefined, jumped: boolean): void
  /** Whether the piece at this offset is verified, so that a read does not wait for the swarm. */
  isReady(byteOffset: number): boolean
  /**
   * Resolves with verified bytes from an offset of the torrent on, at least one and at most `maxLength`, in memory that the caller owns. Rejects
   * when the torrent stops, and on abort.
   */
  readVerified(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<Uint8Array>
  /** The same, with blocks as they arrive, before their piece is verified. */
  readEarly(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<EarlyBytes>
  /** Calls `listener` once, with whether the hash of a piece is right; returns a function that removes the listener. */
  onVerdict(piece: number, listener: (right: boolean) => void): () => void
}

/** The file of a stream. */
export interface StreamedFile {
  /** Name of the file, without folders. */
  readonly name: string
  /** Path in the torrent, with `/`. */
  readonly path: string
  /** Bytes. */
  readonly length: number
  /** First byte in the torrent. */
  readonly offset: number
}
