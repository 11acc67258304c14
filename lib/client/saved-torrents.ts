import { createHash } from 'node:crypto'
import { hashesOfKey } from '../metainfo/info-hashes.ts'
import type { Range } from '../metainfo/layout.ts'
import { asAmount, asCount, asList, asString, JsonFields, parseRecordJson } from '../storage/json-fields.ts'
import type { Signer } from '../storage/record-seal.ts'
import { withMac, withoutMac } from '../storage/signed-json.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import { runSteps, type Steps } from '../util/slices.ts'

const title = 'piecewise session 1'
/** Longest session file that is read, in bytes; enough for 100,000 torrents. */
export const maxSavedLength: number = 256 << 20

/** Lines per step; each takes about 50 microseconds. */
const linesOfStep = 50

/** One parsed line of a session file. */
export interface SavedLine {
  readonly saved: SavedTorrent
  /** The JSON text that the signature covers. */
  readonly json: string
  readonly mac: string | undefined
}

/** Result of {@link decodeSavedTorrents}: the torrents in their order. */
export interface SavedTorrents {
  readonly savedTorrents: readonly SavedTorrent[]
  /** Number of lines that are incomplete, changed, duplicate or of another version. */
  readonly damaged: number
}

/**
 * Encodes a session file: a line with the format version, then a line per torrent: 16 hexadecimal digits, a space, and JSON, signed by
 * `sign`. The digits are the first 16 of the SHA-256 of the signed JSON, so that damage to a line loses only that torrent. `kept` lines are written
 * with their own signatures.
 */
export function encodeSavedTorrents(
  savedTorrents: readonly SavedTorrent[],
  sign?: Signer,
  kept: readonly SavedLine[] = []
): Uint8Array {
  const lines = savedTorrents.map((saved) => {
    const { seedRatio, seedTime, selectOnly } = saved
    const json = JSON.stringify({
      ...saved,
      seedRatio: pack(seedRatio),
      seedTime: pack(seedTime),
      selectOnly: selectOnly?.map(({ start, end }) => [start, end])
    })
    return lineOf(json, sign?.(json))
  })
  for (const { json, mac } of kept) lines.push(lineOf(json, mac))
  return Buffer.from(`${title}\n${lines.join('')}`)
}

/** Decodes the intact lines of a session file. Never throws. */
export function decodeSavedTorrents(bytes: Uint8Array): SavedTorrents {
  const { lines, damaged } = runSteps(readSavedSteps(bytes))
  return { savedTorrents: lines.map(({ saved }) => saved), damaged }
}

/** Result of {@link readSavedSteps}; `damaged` is the number of lines that are not intact. */
export interface SavedLines {
  readonly lines: readonly SavedLine[]
  readonly damaged: number
}

/** Decodes as {@link decodeSavedTorrents}, with signatures, in steps of a few milliseconds. */
export function* readSavedSteps(bytes: Uint8Array): Steps<SavedLines> {
  const read = new Map<string, SavedLine>()
  let damaged = 0
  let count = 0
  for (const line of linesOf(bytes)) {
    if (count++ % linesOfStep === linesOfStep - 1) yield
    // The version is not needed to read the other lines, so damage to it loses nothing.
    if (count === 1 && line.startsWith('piecewise session ')) {
      if (line !== title) damaged++
      continue
    }
    const decoded = decodeLine(line)
    if (decoded === undefined || read.has(decoded.saved.infoHash)) damaged++
    else read.set(decoded.saved.infoHash, decoded)
  }
  return { lines: [...read.values()], damaged }
}

/** Yields the lines that are not empty. */
function* linesOf(bytes: Uint8Array): Generator<string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < buffer.length; ) {
    const newline = buffer.indexOf(0x0a, at)
    const end = newline < 0 ? buffer.length : newline
    if (end > at) yield buffer.toString('utf8', at, end)
    at = end + 1
  }
}

function lineOf(json: string, mac: string | undefined): string {
  const body = withMac(json, mac)
  return `${digest(body)} ${body}\n`
}

function decodeLine(line: string): SavedLine | undefined {
  const space = line.indexOf(' ')
  const body = line.slice(space + 1)
  if (line.slice(0, Math.max(0, space)) !== digest(body)) return undefined
  try {
    return { saved: readSaved(new JsonFields(parseRecordJson(body))), ...withoutMac(body) }
  } catch {
    return undefined
  }
}

function readSaved(fields: JsonFields): SavedTorrent {
  const infoHash = fields.string('infoHash')
  const infoHashV2 = fields.optionalString('infoHashV2')
  // Throws if one of them is not a valid hash.
  hashesOfKey(infoHash, infoHashV2)
  const filePaths = fields.value('filePaths')
  const folderMode = fields.value('folderMode')
  const select = fields.value('select')
  const selectOnly = fields.value('selectOnly')
  const trustedTrackers = fields.value('trustedTrackers')
  return {
    infoHash,
    infoHashV2,
    name: fields.optionalString('name'),
    path: fields.string('path'),
    folderMode: folderMode === undefined ? undefined : asCount(folderMode),
    filePaths: filePaths === undefined ? undefined : asList(filePaths).map(asString),
    select:
      select === undefined || select === 'all' || select === 'none' ? select : asList(select).map(asCount),
    selectOnly: selectOnly === undefined ? undefined : asList(selectOnly).map(unpackRange),
    trackers: fields.list('trackers').map((tier) => asList(tier).map(asString)),
    trustedTrackers: trustedTrackers === undefined ? undefined : asList(trustedTrackers).map(asString),
    peers: fields.strings('peers'),
    paused: fields.value('paused') === true,
    finished: fields.value('finished') === true,
    goalWaived: fields.value('goalWaived') === true,
    seedRatio: unpack(fields.value('seedRatio')),
    seedTime: unpack(fields.value('seedTime')),
    downloadLimit: unpack(fields.value('downloadLimit')),
    uploadLimit: unpack(fields.value('uploadLimit')),
    superSeeding: fields.value('superSeeding') === true,
    ...(fields.value('overwrite') === true ? { overwrite: true } : {}),
    private: fields.value('private') === true,
    uploaded: fields.count('uploaded'),
    downloaded: fields.count('downloaded'),
    secondsActive: fields.amount('secondsActive'),
    secondsSeeding: fields.amount('secondsSeeding'),
    completed: fields.value('completed') === true,
    addedMs: fields.count('addedMs')
  }
}

function unpackRange(value: unknown): Range {
  const [start, end] = asList(value)
  return { start: asCount(start), end: asCount(end) }
}

/** Encodes Infinity as text, since JSON has no such number. */
function pack(value: number | undefined): number | 'Infinity' | undefined {
  return value === Number.POSITIVE_INFINITY ? 'Infinity' : value
}

function unpack(value: unknown): number | undefined {
  if (value === undefined) return undefined
  return value === 'Infinity' ? Number.POSITIVE_INFINITY : asAmount(value)
}

function digest(body: string): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16)
}
