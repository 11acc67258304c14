import { createHash } from 'node:crypto'
import { isHexHash } from '../metainfo/info-hashes.ts'
import type { Range } from '../metainfo/layout.ts'
import { readSpelling, type Spelling } from '../metainfo/spelling.ts'
import { TorrentError } from '../util/errors.ts'
import { asCount, asList, asString, JsonFields, parseRecordJson } from './json-fields.ts'
import type { RecordTrust, Signer } from './record-seal.ts'
import { withMac, withoutMac } from './signed-json.ts'
import type { FileStat, StorageLink } from './storage.ts'

/** State of a torrent that survives a restart. */
export interface ResumeRecord {
  /** Info hash in lower-case hexadecimal, 40 (v1) or 64 (v2) digits. */
  readonly infoHash: string
  /** Whether the last run ended cleanly, with all data flushed before this record was written. */
  readonly clean: boolean
  /** State on disk of each file of the layout; undefined for a missing file. */
  readonly files: readonly (FileStat | undefined)[]
  /** State of the parts file, which holds bytes of unwanted files. */
  readonly parts?: FileStat
  /** Verified pieces, one bit each; piece 0 is the highest bit of the first byte (as in BEP 3). */
  readonly verified: Uint8Array
  /** Pieces with some blocks stored, unverified; one bit for each block, in the same order. */
  readonly partial: ReadonlyMap<number, Uint8Array>
  /** Total bytes uploaded in all runs. */
  readonly uploaded: number
  /** Total bytes downloaded in all runs. */
  readonly downloaded: number
  /** Total seconds in which the torrent was not paused, in all runs. */
  readonly secondsActive: number
  /** Wanted files and ranges; undefined when everything is wanted. */
  readonly selection?: {
    /** Priority of each file of the layout; 0 is unwanted. */
    readonly priorities: readonly number[]
    /** Further wanted byte ranges, with their priority if it is not the default. */
    readonly ranges: readonly (Range & { readonly priority?: number })[]
  }
  /** How file names are spelled on disk; undefined when all spellings are the same, and in records of version 0.1. */
  readonly spelling?: Spelling
  /**
   * One bit for each file of the layout, set if the file on disk belongs to the torrent; unless `clean`, also if it was about to be
   * created. Undefined in records of 0.1.0.
   */
  readonly owned?: Uint8Array
  /** Files and folders that the storage created, as it reported them. */
  readonly created: readonly string[]
  /** Symbolic links that the storage accepted; undefined in records of 0.1.0, which followed no link out of the folder. */
  readonly links?: readonly StorageLink[]
  /** Peers as `host:port`, best first; at most {@link maxPeers} are saved. */
  readonly peers: readonly string[]
  /** Tracker URLs added to those of the torrent. */
  readonly trackers: readonly string[]
  /** Time at which the torrent was added, in milliseconds since 1970. */
  readonly addedMs: number
  /** Whether the download was ever complete; trackers are told this once. */
  readonly completed?: boolean
  /** Folder of the data. */
  readonly path?: string
  /** Whether the user had paused the torrent. */
  readonly paused?: boolean
  /** Whether the torrent is private (BEP 27), in case the metadata is lost. */
  readonly private?: boolean
}

/** Maximum number of peers in a record. */
export const maxPeers: number = 200
/** Maximum length of a record in bytes; a torrent of a million files needs less. */
export const maxRecordLength: number = 64 << 20

const title = 'piecewise resume 1'
const maxTrackers = 1000

/** A loaded record and the trust in it. */
export interface LoadedRecord {
  readonly record: ResumeRecord
  readonly trust: RecordTrust
}

/**
 * Encodes a record: a line with the format version and SHA-256, then JSON with bitfields in base64, signed if `sign` returns a signature.
 */
export function encodeResume(record: ResumeRecord, sign?: Signer): Uint8Array {
  const { files, parts, verified, partial, owned, peers, trackers, selection, ...rest } = record
  const json = JSON.stringify({
    ...rest,
    files: files.map(packStat),
    parts: packStat(parts),
    verified: toBase64(verified),
    partial: [...partial].map(([piece, blocks]) => [piece, toBase64(blocks)]),
    ...(owned === undefined ? {} : { owned: toBase64(owned) }),
    peers: peers.slice(0, maxPeers),
    trackers: trackers.slice(0, maxTrackers),
    selection: selection && {
      priorities: selection.priorities,
      ranges: selection.ranges.map(({ start, end, priority }) =>
        priority === undefined ? [start, end] : [start, end, priority]
      )
    }
  })
  const body = withMac(json, sign?.(json))
  return Buffer.from(`${title} ${digest(body)}\n${body}`)
}

/** Decodes a record; throws ERR_STORAGE_RESUME when the bytes are corrupt or of another format or version. */
export function decodeResume(bytes: Uint8Array): ResumeRecord {
  return openResume(bytes).record
}

/** Decodes a record and also returns the signed text and the signature. */
export function openResume(bytes: Uint8Array): {
  readonly record: ResumeRecord
  readonly json: string
  readonly mac: string | undefined
} {
  if (bytes.byteLength > maxRecordLength) {
    throw unreadable(`it has ${bytes.byteLength} bytes, more than ${maxRecordLength}`)
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const line = text.indexOf('\n')
  const head = text.slice(0, Math.max(0, line))
  const body = text.slice(line + 1)
  if (!head.startsWith(`${title} `)) throw unreadable('it is of another format or version')
  if (head.slice(title.length + 1) !== digest(body)) throw unreadable('its checksum is wrong')
  try {
    return { record: readRecord(new JsonFields(parseRecordJson(body))), ...withoutMac(body) }
  } catch (cause) {
    throw unreadable('a field is malformed', cause)
  }
}

/**
 * Returns the trustworthy part of a record. Only a `trusted` one names files to delete, and gives a private torrent trackers and peers
 * (BEP 27). The links of a `sealed` one still count, because they exclude links that appeared since.
 */
export function believed({ record, trust }: LoadedRecord, isPrivate: boolean): ResumeRecord {
  if (trust === 'trusted') return record
  const { links, ...rest } = record
  const kept = trust === 'sealed' ? record : rest
  return { ...kept, created: [], ...(isPrivate ? { trackers: [], peers: [] } : {}) }
}

function readRecord(fields: JsonFields): ResumeRecord {
  const infoHash = fields.string('infoHash')
  if (!isHexHash(infoHash)) throw new TypeError('infoHash')
  const parts = unpackStat(fields.value('parts'))
  const selection = fields.value('selection')
  const path = fields.value('path')
  const spelling = readSpelling(fields.value('spelling'))
  const owned = fields.optionalString('owned')
  return {
    infoHash,
    clean: fields.value('clean') === true,
    files: fields.list('files').map(unpackStat),
    ...(parts === undefined ? {} : { parts }),
    verified: fromBase64(fields.string('verified')),
    partial: new Map(fields.list('partial').map(unpackPartial)),
    uploaded: fields.count('uploaded'),
    downloaded: fields.count('downloaded'),
    secondsActive: fields.amount('secondsActive'),
    ...(selection === undefined ? {} : { selection: unpackSelection(new JsonFields(selection)) }),
    ...(spelling === undefined ? {} : { spelling }),
    ...(owned === undefined ? {} : { owned: fromBase64(owned) }),
    created: fields.strings('created'),
    ...(fields.value('links') === undefined ? {} : { links: fields.list('links').map(unpackLink) }),
    peers: fields.strings('peers').slice(0, maxPeers),
    trackers: fields.strings('trackers').slice(0, maxTrackers),
    addedMs: fields.count('addedMs'),
    ...(fields.value('completed') === true ? { completed: true } : {}),
    ...(typeof path === 'string' ? { path } : {}),
    ...(fields.value('paused') === true ? { paused: true } : {}),
    ...(fields.value('private') === true ? { private: true } : {})
  }
}

function packStat(stat: FileStat | undefined): unknown {
  return stat === undefined ? 0 : [stat.size, String(stat.mtimeNs)]
}

function unpackStat(value: unknown): FileStat | undefined {
  if (value === 0 || value === undefined) return undefined
  const [size, mtimeNs] = asList(value)
  const digits = asString(mtimeNs)
  if (!/^-?\d{1,30}$/.test(digits)) throw new TypeError('not a time')
  return { size: asCount(size), mtimeNs: BigInt(digits) }
}

function unpackLink(value: unknown): StorageLink {
  const fields = new JsonFields(value)
  return { path: fields.string('path'), target: fields.string('target') }
}

function unpackPartial(value: unknown): [number, Uint8Array] {
  const [piece, blocks] = asList(value)
  if (!Number.isInteger(piece)) throw new TypeError('not a piece index')
  return [asCount(piece), fromBase64(asString(blocks))]
}

function unpackSelection(fields: JsonFields): NonNullable<ResumeRecord['selection']> {
  return {
    priorities: fields.list('priorities').map(asCount),
    ranges: fields.list('ranges').map((value) => {
      const [start, end, priority] = asList(value)
      const range = { start: asCount(start), end: asCount(end) }
      return priority === undefined ? range : { ...range, priority: asCount(priority) }
    })
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'))
}

function digest(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

function unreadable(why: string, cause?: unknown): TorrentError {
  const message = `The resume record cannot be used, because ${why}`
  return new TorrentError('ERR_STORAGE_RESUME', message, cause === undefined ? {} : { cause })
}
