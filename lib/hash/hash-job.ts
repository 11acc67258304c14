import { asError, systemCode, TorrentError } from '../util/errors.ts'
import type { HashAlgorithm } from './running-hash.ts'

/** Identity of a folder above a file, to confirm that the file is where it was found. */
export interface SegmentFolder {
  /** Absolute path without symbolic links. */
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
}

/** A byte range of a file, or zeros when there is no path (pad files, BEP 47). */
export interface Segment {
  readonly path: string | undefined
  /** Offset of the first byte in the file. */
  readonly fileOffset: number
  /** Length in bytes; may be 0. */
  readonly length: number
  /** If given, the file is read only while this folder exists and no path element below it is a symbolic link. */
  readonly folder?: SegmentFolder | undefined
}

/** A piece to hash, made of its segments in sequence. */
export interface HashJob {
  /** Identifies the piece for the caller. */
  readonly index: number
  readonly segments: readonly Segment[]
}

/**
 * Receives each piece once, in any order: without a digest when bytes are missing, and with ERR_HASH_READ when they could not be read
 * (`details.path`, `details.code`).
 */
export type OnHashed = (index: number, digest: Uint8Array | undefined, fault?: TorrentError) => void

/** Several pieces in a form that is cheap to send to a worker. */
export interface HashBatch {
  /** Id of the run (one call of `HashPool.hash`) to which the batch belongs. */
  readonly run: number
  readonly algorithm: HashAlgorithm
  readonly indices: readonly number[]
  /** Number of segments of each piece, in order. */
  readonly counts: readonly number[]
  readonly paths: readonly string[]
  /** Folder of each path, if any. */
  readonly folders: readonly (SegmentFolder | undefined)[]
  /** Three numbers for each segment: index into `paths` or -1 for zeros, offset in the file, length. */
  readonly segments: Float64Array
  /** Set to nonzero when the result is no longer needed. */
  readonly cancelled: Int32Array
}

/** A worker's result for a {@link HashBatch}. */
export interface HashBatchResult {
  readonly run: number
  /** Concatenated digests; those of pieces that are not `complete` are invalid. */
  readonly digests: Uint8Array
  /** 1 for each piece with a valid digest. */
  readonly complete: Uint8Array
  /** Read errors by position in the batch; an Error would lose its properties when sent. */
  readonly faults: readonly (readonly [position: number, fault: ReadFault])[]
}

/** Message to a worker: a batch, or the id of a finished run whose files may be closed. */
export type HashRequest = HashBatch | { readonly finished: number }

/** A read error in a form that can be sent between threads. */
export interface ReadFault {
  readonly message: string
  readonly path: string
  /** System error code, such as EACCES. */
  readonly code: string | undefined
}

/** Converts an error of opening or reading a file. */
export function readFault(path: string, error: unknown): ReadFault {
  return { message: `Cannot read '${path}': ${asError(error).message}`, path, code: systemCode(error) }
}

/** Returns the error for {@link OnHashed}. */
export function readError({ message, path, code }: ReadFault): TorrentError {
  return new TorrentError('ERR_HASH_READ', message, { details: { path, code } })
}

/** Returns whether an error means that a file does not exist. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}
