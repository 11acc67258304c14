import { createHash } from 'node:crypto'
import { BencodeDict, type BencodeValue } from '../bencode/bencode-dict.ts'
import { decodePrefixSteps, decodeSteps } from '../bencode/decode.ts'
import { isBytes, toHex, toLatin1 } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import { runSteps, runStepsInTurns, type Steps } from '../util/turn-share.ts'
import { Layout } from './layout.ts'
import type { FileEntry, InfoHashes, Metainfo } from './metainfo.ts'
import { padNamePrefix, uniquePathSteps } from './safe-path.ts'
import { elementHasOthers, nameHasOthers, type Spelling, spellElement, spellName } from './spelling.ts'

/** Most pieces of a torrent: bounds what a have message may name and what a bitfield may cost. */
export const maxPieceCount: number = 2 ** 21
/** Most bytes of a piece, for a piece is held in memory until it is verified. */
export const maxPieceLength: number = 2 ** 29
/** Most bytes of a .torrent or an info dictionary. */
export const maxTorrentBytes: number = 64 * 2 ** 20
/** Files that are read without a pause. */
const filesOfStep = 1000
/** Most elements of a file's path below the torrent's name. */
export const maxPathDepth: number = 100

/**
 * Checks and decodes an `info` dictionary as it comes from peers (BEP 9); there are no trackers and the like in it. The
 * result holds a copy of the bytes.
 * @throws TorrentError as {@link parseTorrent} does.
 */
export function parseInfo(infoBytes: Uint8Array): Metainfo {
  return runSteps(parseInfoSteps(infoBytes))
}

/**
 * Parses as {@link parseInfo} does, and yields to the event loop when the torrent is large; `infoBytes` must not change meanwhile.
 * Rejects with the signal's reason once it is aborted.
 */
export function parseInfoInTurns(infoBytes: Uint8Array, signal?: AbortSignal): Promise<Metainfo> {
  return runStepsInTurns(parseInfoSteps(infoBytes), signal)
}

function* parseInfoSteps(infoBytes: Uint8Array): Steps<Metainfo> {
  // Exact, for every byte counts for the info hash.
  const value = yield* decodeSteps(withinLimit(infoBytes))
  if (!(value instanceof BencodeDict)) throw invalid('the info is no dictionary')
  const fields = yield* readInfo(value, infoBytes)
  return { ...fields, announce: [], webSeeds: [], httpSeeds: [], nodes: [] }
}

/** What the `info` dictionary says. */
export type InfoFields = Omit<Metainfo, 'announce' | 'webSeeds' | 'httpSeeds' | 'nodes'>

/** The value that a .torrent begins with. Bytes after it are ignored: writers and transfers leave newlines, zeros and markup there. */
export function* decodeTorrent(bytes: Uint8Array): Steps<BencodeValue> {
  const { value } = yield* decodePrefixSteps(withinLimit(bytes))
  return value
}

function withinLimit(bytes: Uint8Array): Uint8Array {
  if (!isBytes(bytes)) throw invalid(`${show(bytes)} must be a Uint8Array`)
  if (bytes.length <= maxTorrentBytes) return bytes
  throw invalid(`it has ${bytes.length} bytes, more than ${maxTorrentBytes}`, { length: bytes.length })
}

/** Reads a decoded `info` dictionary; `raw` are its bytes, which are copied. */
export function* readInfo(dict: BencodeDict, raw: Uint8Array): Steps<InfoFields> {
  const version = dict.get('meta version') ?? 1
  const hybrid = version === 2
  if (version !== 1 && !hybrid) {
    throw new TorrentError(
      'ERR_METAINFO_UNSUPPORTED',
      `Torrents of meta version ${String(version)} are not supported`
    )
  }
  if (hybrid && !dict.has('pieces')) {
    throw new TorrentError(
      'ERR_METAINFO_UNSUPPORTED',
      'Torrents of version 2 alone (BEP 52) are not supported, hybrids are'
    )
  }
  const pieceLength = dict.integer('piece length')
  if (pieceLength === undefined || pieceLength <= 0 || pieceLength > maxPieceLength) {
    throw invalid(
      `'piece length' must be an integer from 1 to ${maxPieceLength}, not ${shown(dict.get('piece length'))}`
    )
  }
  const hashed = dict.bytes('pieces')
  if (hashed === undefined) throw invalid("'pieces' must be a byte string")
  // Not slice(), which is a mere view for a Buffer.
  const info = new Uint8Array(raw)
  const infoHashes: InfoHashes = {
    v1: digest('sha1', info),
    ...(hybrid && { v2: digest('sha256', info) })
  }
  yield
  const { name, files, hasOthers } = yield* readNames(dict, infoHashes, '0.2')
  const { length, pieceCount } = new Layout(pieceLength, files)
  if (length === 0) throw invalid('its files hold no byte')
  if (pieceCount > maxPieceCount) throw invalid(`it has ${pieceCount} pieces, more than ${maxPieceCount}`)
  if (hashed.length !== pieceCount * 20) {
    throw invalid(
      `'pieces' has ${hashed.length} bytes where ${length} bytes in pieces of ${pieceLength} need ${pieceCount * 20}`
    )
  }
  const at = hashed.byteOffset - raw.byteOffset
  return {
    infoHashes,
    info,
    name,
    ...(hasOthers && { spelling: '0.2' }),
    length,
    pieceLength,
    pieces: info.subarray(at, at + hashed.length),
    files,
    singleFile: !dict.has('files'),
    private: readPrivate(dict)
  }
}

function digest(algorithm: string, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(algorithm).update(bytes).digest())
}

/** An ERR_METAINFO_INVALID that says why. */
export function invalid(reason: string, details: Record<string, unknown> = {}): TorrentError {
  return new TorrentError('ERR_METAINFO_INVALID', `Not a valid torrent: ${reason}`, { details })
}

function shown(value: BencodeValue | undefined): string {
  if (typeof value === 'number' || typeof value === 'bigint') return `${value}`
  return value === undefined ? 'missing' : 'another type'
}

/** Any integer but 0 means private, as in other clients; other types mean nothing. */
function readPrivate(dict: BencodeDict): boolean {
  const value = dict.get('private')
  return typeof value === 'bigint' || (typeof value === 'number' && value !== 0)
}

/** The name and the files of a torrent in one spelling. */
export interface Names {
  readonly name: string
  readonly files: FileEntry[]
  /** Whether another spelling may give other names. */
  readonly hasOthers: boolean
}

/** Reads name and files of a decoded `info` dictionary. */
export function* readNames(dict: BencodeDict, infoHashes: InfoHashes, spelling: Spelling): Steps<Names> {
  const naming: Naming = { spelling, hasOthers: false }
  const name = readName(dict, infoHashes, naming)
  const listed = dict.get('files')
  if (listed !== undefined && !Array.isArray(listed)) throw invalid("'files' must be a list")
  const files = listed === undefined ? singleFile(dict, name) : yield* fileList(listed, name, naming)
  return { name, files, hasOthers: naming.hasOthers }
}

/** How names are spelled, and whether one was met that another spelling changes. */
interface Naming {
  readonly spelling: Spelling
  hasOthers: boolean
}

function readName(dict: BencodeDict, { v1 }: InfoHashes, naming: Naming): string {
  const raw = dict.bytes('name.utf-8') ?? dict.bytes('name')
  if (raw === undefined) throw invalid("'name' must be a byte string")
  if (raw.length === 0 && v1 !== undefined) return toHex(v1)
  naming.hasOthers ||= nameHasOthers(raw)
  return spellName(raw, naming.spelling) ?? '_'
}

function singleFile(dict: BencodeDict, name: string): FileEntry[] {
  const length = readLength(dict)
  const attributes = readAttributes(dict)
  return [{ path: name, name, length, offset: 0, pad: false, ...flags(attributes) }]
}

/** A file of the list as far as it was read. */
interface ListedFile {
  readonly elements: readonly string[]
  /** Whether it is a pad file. */
  readonly yields: boolean
  readonly length: number
  readonly attributes: string
  /** Its place in the list, links included. */
  readonly listIndex: number
}

function* fileList(list: readonly BencodeValue[], folder: string, naming: Naming): Steps<FileEntry[]> {
  if (list.length === 0) throw invalid("'files' is empty")
  const found: ListedFile[] = []
  for (let n = 0; n < list.length; n++) {
    if (n % filesOfStep === filesOfStep - 1) yield
    const item = list[n]
    if (!(item instanceof BencodeDict)) throw invalid(`file ${n} is no dictionary`)
    const attributes = readAttributes(item)
    // A symbolic link has no bytes of its own; it is left out, for what it points to is the torrent's word only.
    if (attributes.includes('l')) continue
    const length = readLength(item, n)
    const elements = readPath(item, n, naming, attributes.includes('p') ? ['.pad', `${length}`] : undefined)
    const pad = attributes.includes('p') || elements.at(-1)?.startsWith(padNamePrefix) === true
    found.push({ elements: [folder].concat(elements), yields: pad, length, attributes, listIndex: n })
  }
  const paths = yield* uniquePathSteps(found)
  let offset = 0
  const files: FileEntry[] = []
  for (const [n, { length, attributes, yields: pad, listIndex }] of found.entries()) {
    if (n % filesOfStep === filesOfStep - 1) yield
    const path = paths[n] ?? ''
    const name = path.slice(path.lastIndexOf('/') + 1)
    const moved = listIndex === n ? undefined : { listIndex }
    files.push({ path, name, length, offset, pad, ...flags(attributes), ...moved })
    offset += length
    if (offset > Number.MAX_SAFE_INTEGER) throw invalid('its files together pass 2^53 bytes')
  }
  return files.slice()
}

function readLength(dict: BencodeDict, n?: number): number {
  const length = dict.integer('length')
  if (length === undefined || length < 0) {
    throw invalid(
      `the length of ${n === undefined ? 'the file' : `file ${n}`} must be an integer from 0 on, not ${shown(dict.get('length'))}`
    )
  }
  return length
}

function readAttributes(dict: BencodeDict): string {
  const raw = dict.bytes('attr')
  return raw === undefined ? '' : toLatin1(raw)
}

function flags(attributes: string): { executable: boolean; hidden: boolean } {
  return { executable: attributes.includes('x'), hidden: attributes.includes('h') }
}

/** The elements of a file's path; those of `otherwise`, if given, for a file without one. */
function readPath(dict: BencodeDict, n: number, naming: Naming, otherwise: string[] | undefined): string[] {
  const raw = dict.list('path.utf-8') ?? dict.list('path')
  if (otherwise !== undefined && (raw === undefined || raw.length === 0)) return otherwise
  if (raw === undefined || raw.length === 0)
    throw invalid(`the path of file ${n} must be a list of byte strings`)
  if (raw.length > maxPathDepth) throw invalid(`the path of file ${n} has more than ${maxPathDepth} elements`)
  const elements: string[] = []
  for (const part of raw) {
    if (!isBytes(part)) throw invalid(`the path of file ${n} must be a list of byte strings`)
    naming.hasOthers ||= elementHasOthers(part)
    const element = spellElement(part, naming.spelling)
    if (element !== undefined) elements.push(element)
  }
  return elements.length === 0 ? ['_'] : elements
}
