import { asError, systemCode, TorrentError } from '../util/errors.ts'
import type { HashAlgorithm } from './running-hash.ts'

/** A folder by which a file is known to be where it was found. */
export interface SegmentFolder {
  /** Absolute, without symbolic links, and above the file. */
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
}

/** A byte range of a file, or that many zeros when there is no path (pad files, BEP 47). */
export interface Segment {
  readonly path: string | undefined
  /** First byte in the file. */
  readonly fileOffset: number
  /** Bytes; may be 0. */
  readonly length: number
  /** If given, the file is read only while this folder is there and nothing below it on the way is a symbolic link. */
  readonly folder?: SegmentFolder | undefined
}

/** One piece to hash: its segments, one after the other. */
export interface HashJob {
  /** Whatever the caller knows the piece by. */
  readonly index: number
  readonly segments: readonly Segment[]
}

/**
 * Receives each piece once, in any order: no digest when bytes are missing, and an ERR_HASH_READ when they could not be
 * read (`details.path`, `details.code`).
 */
export type OnHashed = (index: number, digest: Uint8Array | undefined, fault?: TorrentError) => void

/** Several pieces in a form that is cheap to send to a worker. */
export interface HashBatch {
  /** The run that the batch belongs to. */
  readonly run: number
  readonly algorithm: HashAlgorithm
  readonly indices: readonly number[]
  /** Segments of each piece, in order. */
  readonly counts: readonly number[]
  readonly paths: readonly string[]
  /** The folder of each path, as far as there is one. */
  readonly folders: readonly (SegmentFolder | undefined)[]
  /** Three numbers for each segment: index into `paths` or -1 for zeros, offset in the file, length. */
  readonly segments: Float64Array
  /** Becomes nonzero when nobody wants the result any more. */
  readonly cancelled: Int32Array
}

/** What a worker gives back for a {@link HashBatch}. */
export interface HashBatchResult {
  readonly run: number
  /** The digests one after the other; those of pieces that are not `complete` mean nothing. */
  readonly digests: Uint8Array
  /** For each piece 1 when the digest is sound. */
  readonly complete: Uint8Array
  /** Read errors by position in the batch; an Error would lose its properties on the way. */
  readonly faults: readonly (readonly [position: number, fault: ReadFault])[]
}

/** What the pool sends to a worker: work, or that a run is over and its files may be closed. */
export type HashRequest = HashBatch | { readonly finished: number }

/** What a read error says, fit to be sent between threads. */
export interface ReadFault {
  readonly message: string
  readonly path: string
  /** The system's code, such as EACCES. */
  readonly code: string | undefined
}

/** The facts of an error that opening or reading a file gave. */
export function readFault(path: string, error: unknown): ReadFault {
  return { message: `Cannot read '${path}': ${asError(error).message}`, path, code: systemCode(error) }
}

/** The error for {@link OnHashed}. */
export function readError({ message, path, code }: ReadFault): TorrentError {
  return new TorrentError('ERR_HASH_READ', message, { details: { path, code } })
}

/** Whether an error says that a file is simply not there. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}
