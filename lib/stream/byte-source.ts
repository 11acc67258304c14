import type { Layout } from '../metainfo/layout.ts'
import type { ByteWindow } from '../pieces/byte-window.ts'
import type { EarlyBytes } from '../storage/verified-reader.ts'

/** Where streams get their bytes: the few questions that they ask of a torrent. */
export interface ByteSource {
  readonly layout: Layout
  /** A number that no other stream of this source has. */
  nextStreamId(): number
  /** Opens, moves or (with undefined) closes the window of a stream; `jumped` says that it went elsewhere. */
  setWindow(streamId: number, window: ByteWindow | undefined, jumped: boolean): void
  /** Whether all bytes at this offset's piece are verified, so that a read does not wait for the swarm. */
  isReady(byteOffset: number): boolean
  /**
   * Verified bytes from an offset in the torrent on: at least one, at most `maxLength`, in memory that is the caller's. Waits until
   * they are there; rejects when they never will be, or on abort.
   */
  readVerified(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<Uint8Array>
  /** The same, without waiting for the piece to be verified: whole blocks as they come. */
  readEarly(byteOffset: number, maxLength: number, signal: AbortSignal): Promise<EarlyBytes>
  /** Calls back once when a piece is verified (true) or its bytes turn out to be wrong (false); the function returned calls it off. */
  onVerdict(piece: number, listener: (right: boolean) => void): () => void
}

/** What a stream needs to know of its file. */
export interface StreamedFile {
  readonly name: string
  readonly path: string
  /** Bytes. */
  readonly length: number
  /** First byte in the torrent. */
  readonly offset: number
}
