import { types } from 'node:util'
import { show } from './show.ts'

/**
 * Every code of a {@link TorrentError}, with its meaning. Codes are `ERR_<AREA>_<NAME>`. The area is the
 * folder of `lib/` that the fault concerns; other folders may raise the code too.
 */
export const errorCodes = {
  ERR_UTIL_ADDRESS: 'an address is not host:port',
  ERR_UTIL_ABORTED: 'the AbortSignal given was aborted',
  ERR_BENCODE_SYNTAX: 'the bytes are not bencode',
  ERR_BENCODE_LIMIT: 'the bencoded value exceeds a limit on depth, length or number of values',
  ERR_BENCODE_VALUE: 'the value cannot be bencoded',
  ERR_METAINFO_INVALID: 'the torrent is malformed',
  ERR_METAINFO_UNSUPPORTED: 'the torrent is of a kind that is not supported',
  ERR_METAINFO_MAGNET: 'the magnet link is malformed or names no supported info hash',
  ERR_METAINFO_SOURCE: 'the source is not a torrent, magnet link or info hash',
  ERR_METAINFO_CREATE: 'a torrent cannot be created from these files',
  ERR_HASH_WORKER: 'a hashing worker failed',
  ERR_HASH_READ: 'a file could not be read for hashing',
  ERR_WIRE_PROTOCOL: 'the peer broke the protocol',
  ERR_WIRE_LIMIT: 'the peer exceeded a limit',
  ERR_WIRE_ARGUMENT: 'an argument of a wire method is not valid',
  ERR_WIRE_CLOSED: 'the wire is closed',
  ERR_TRANSPORT_DIAL: 'the peer could not be reached',
  ERR_TRANSPORT_LISTEN: 'no port could be listened on',
  ERR_TRANSPORT_TIMEOUT: 'the peer did not answer in time, or was silent for too long',
  ERR_TRANSPORT_PROXY: 'the proxy could not be reached or refused to serve us',
  ERR_TRACKER_LIMIT: 'the torrent has more trackers than are used',
  ERR_TRACKER_OPTION: 'a tracker option or argument is not valid',
  ERR_TRACKER_URL: 'the tracker URL is malformed or of an unsupported kind',
  ERR_TRACKER_FAILURE: 'the tracker refused the request',
  ERR_TRACKER_RESPONSE: 'the tracker sent an invalid answer',
  ERR_TRACKER_NETWORK: 'the tracker could not be reached',
  ERR_TRACKER_TIMEOUT: 'the tracker did not answer in time',
  ERR_DHT_OPTION: 'a DHT option or argument is not valid',
  ERR_DHT_CLOSED: 'the DHT is closed',
  ERR_DHT_BOOTSTRAP: 'a bootstrap node could not be resolved',
  ERR_DHT_ITEM: 'the item cannot be stored in the DHT',
  ERR_STORAGE_OPTION: 'a storage option is not valid',
  ERR_STORAGE_IN_USE: 'another torrent of this client writes to the same file',
  ERR_STORAGE_READ: 'data could not be read',
  ERR_STORAGE_WRITE: 'data could not be written',
  ERR_STORAGE_FULL: 'the disk is full',
  ERR_STORAGE_ACCESS: 'the folder or file may not be written',
  ERR_STORAGE_EXISTS:
    'a file exists that is not known to belong to the torrent, and overwriting is not allowed',
  ERR_STORAGE_PATH: 'a path leads outside the torrent folder or is taken by something else',
  ERR_STORAGE_RESUME: 'a resume record is damaged, belongs to another torrent or has another version',
  ERR_STORAGE_CLOSED: 'the storage is closed',
  ERR_DISCOVERY_PRIVATE: 'a private torrent takes no peers from this kind of source',
  ERR_DISCOVERY_SOURCE: 'a source of peers failed',
  ERR_DISCOVERY_LSD: 'local service discovery cannot be used',
  ERR_STREAM_OPTION: 'an option of a stream is not valid',
  ERR_STREAM_UNVERIFIED: 'bytes that a stream was allowed to deliver unverified were wrong',
  ERR_STREAM_ENDED: 'the stream has ended or was destroyed',
  ERR_TORRENT_CLOSED: 'the torrent was closed',
  ERR_TORRENT_METADATA: 'the metadata is not known yet',
  ERR_TORRENT_SELECT: 'the selection names a file or range that does not exist',
  ERR_CLIENT_OPTION: 'an option is not valid',
  ERR_CLIENT_UNSUPPORTED: 'an option enables a feature that is not implemented yet',
  ERR_CLIENT_CLOSED: 'the client is closed',
  ERR_CLIENT_STATE:
    'the state folder is in use by another client, or its list of torrents is damaged or cannot be saved',
  ERR_CLIENT_SOURCE: 'the source could not be read',
  ERR_SERVER_OPTION: 'a server option is not valid',
  ERR_CLI_USAGE: 'the command line is not understood'
} as const

/** One of the codes in {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes

/** Options of a {@link TorrentError}. */
export interface ErrorDetails {
  /** The error that led to this one. */
  readonly cause?: unknown
  /** Machine-readable facts: positions, options, values, addresses. */
  readonly details?: Readonly<Record<string, unknown>>
}

/** The error class of the library: a message for people, a `code` for programs, and the underlying `cause`. */
export class TorrentError extends Error {
  override readonly name = 'TorrentError'
  /** A stable code from {@link errorCodes}. */
  readonly code: ErrorCode
  /** Machine-readable facts, such as the position of a syntax error or the name of an invalid option. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, { cause, details = {} }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
  }
}

/**
 * Returns whether a value is an error, also one of another realm: in test runners that use `node:vm`,
 * `instanceof` fails for Node's own errors. Use `code` to tell errors apart.
 */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error
}

/** Returns whether a value is a {@link TorrentError}, also one of another copy of the library. */
export function isTorrentError(value: unknown): value is TorrentError {
  return isError(value) && value.name === 'TorrentError' && (systemCode(value) ?? '') in errorCodes
}

/** Returns the thrown error, or wraps another value in one. */
export function asError(thrown: unknown): Error {
  return isError(thrown) ? thrown : new Error(typeof thrown === 'string' ? thrown : show(thrown))
}

/** Returns the `code` of an error, if it is a string: of a Node system error or a {@link TorrentError}. */
export function systemCode(error: unknown): string | undefined {
  return isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Emits an error as a process warning, for faults without a listener. */
export function warnProcess(error: Error): void {
  try {
    process.emitWarning(error)
  } catch {
    // Node accepts only errors of its own realm.
    process.emitWarning(error.message, { type: error.name, detail: error.stack ?? '' })
  }
}
