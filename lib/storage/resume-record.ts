import { createHash } from 'node:crypto'
import { isHexHash } from '../metainfo/info-hashes.ts'
import type { Range } from '../metainfo/layout.ts'
import { readSpelling, type Spelling } from '../metainfo/spelling.ts'
import { TorrentError } from '../util/errors.ts'
import { asCount, asList, asString, JsonFields, parseRecordJson } from './json-fields.ts'
import type { RecordTrust, Signer } from './record-seal.ts'
import { withMac, withoutMac } from './signed-json.ts'
import type { FileStat, StorageLink } from './storage.ts'

/** Everything that a torrent remembers between two runs. */
export interface ResumeRecord {
  /** Lower-case hexadecimal, 40 (v1) or 64 (v2) digits. */
  readonly infoHash: string
  /** Whether the last run ended in order, all data flushed before this record was written. */
  readonly clean: boolean
  /** For each file of the layout what was on disk; undefined where there was none. */
  readonly files: readonly (FileStat | undefined)[]
  /** The file that keeps bytes of unwanted files. */
  readonly parts?: FileStat
  /** Verified pieces: a bit each, piece 0 the highest bit of the first byte (as in BEP 3). */
  readonly verified: Uint8Array
  /** Pieces of which some blocks are stored unverified: a bit for each block, in the same order. */
  readonly partial: ReadonlyMap<number, Uint8Array>
  /** Bytes, over all runs. */
  readonly uploaded: number
  /** Bytes, over all runs. */
  readonly downloaded: number
  /** Seconds that the torrent was not paused, over all runs. */
  readonly secondsActive: number
  /** What is wanted; undefined for everything. */
  readonly selection?: {
    /** For each file of the layout; 0 is unwanted. */
    readonly priorities: readonly number[]
    /** Byte ranges that are wanted besides, with their priority if it is not the usual one. */
    readonly ranges: readonly (Range & { readonly priority?: number })[]
  }
  /** How the names of its files are spelled; undefined when they have but one spelling, or in records of version 0.1. */
  readonly spelling?: Spelling
  /**
   * A bit for each file of the layout that is the torrent's; unless `clean`, also for those that were about to be made. Undefined in
   * records of 0.1.0.
   */
  readonly owned?: Uint8Array
  /** What the storage reported as created. */
  readonly created: readonly string[]
  /** Symbolic links that the storage accepted; undefined in records of 0.1.0, which accepted none that led elsewhere. */
  readonly links?: readonly StorageLink[]
  /** `host:port`, the best first; at most {@link maxPeers} are kept. */
  readonly peers: readonly string[]
  /** Tracker URLs that were added to those of the torrent. */
  readonly trackers: readonly string[]
  /** When the torrent was added, in milliseconds since 1970. */
  readonly addedMs: number
  /** Whether every byte has been here once, of which trackers hear but once. */
  readonly completed?: boolean
  /** Folder of the data. */
  readonly path?: string
  /** Whether the user had paused it. */
  readonly paused?: boolean
  /** Whether it is private (BEP 27), should the metadata be lost. */
  readonly private?: boolean
}

/** Most peers that a record keeps. */
export const maxPeers: number = 200
/** A longer record is not read; a torrent of a million files needs less. */
export const maxRecordLength: number = 64 << 20

const title = 'piecewise resume 1'
const maxTrackers = 1000

/** A record as it was found. */
export interface LoadedRecord {
  readonly record: ResumeRecord
  readonly trust: RecordTrust
}

/** The bytes of a record: a line with format version and SHA-256, then JSON with base64 for bitfields, signed if `sign` does so. */
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

/** The record in `bytes`; ERR_STORAGE_RESUME when they are torn, foreign or of another version. */
export function decodeResume(bytes: Uint8Array): ResumeRecord {
  return openResume(bytes).record
}

/** As {@link decodeResume}, with what is signed and the signature. */
export function openResume(bytes: Uint8Array): {
  readonly record: ResumeRecord
  readonly json: string
  readonly mac: string | undefined
} {
  if (bytes.byteLength > maxRecordLength) throw unreadable(`it has ${bytes.byteLength} bytes`)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const line = text.indexOf('\n')
  const head = text.slice(0, Math.max(0, line))
  const body = text.slice(line + 1)
  if (!head.startsWith(`${title} `)) throw unreadable('it does not begin as one of this version')
  if (head.slice(title.length + 1) !== digest(body)) throw unreadable('its checksum is wrong')
  try {
    return { record: readRecord(new JsonFields(parseRecordJson(body))), ...withoutMac(body) }
  } catch (cause) {
    throw unreadable('a field is malformed', cause)
  }
}

/**
 * Returns what counts of a record. One that is not trusted names no files to be deleted, and a private torrent gets neither trackers nor
 * peers from it (BEP 27). Links count if it is signed at least: they keep those out that appeared since.
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
    secondsActive: fields.count('secondsActive'),
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
  if (!/^-?\d{1,30}$/.test(digits)) throw new TypeError('no time')
  return { size: asCount(size), mtimeNs: BigInt(digits) }
}

function unpackLink(value: unknown): StorageLink {
  const fields = new JsonFields(value)
  return { path: fields.string('path'), target: fields.string('target') }
}

function unpackPartial(value: unknown): [number, Uint8Array] {
  const [piece, blocks] = asList(value)
  if (!Number.isInteger(piece)) throw new TypeError('no piece')
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
