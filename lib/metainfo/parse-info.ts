import { createHash } from 'node:crypto'
import { type KeyTree, type Outline, outlineSteps } from '../bencode/outline.ts'
import { isBytes } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import { runSteps, runStepsInSlices, type Steps } from '../util/slices.ts'
import type { InfoHashes } from './info-hashes.ts'
import { invalid, shown } from './invalid.ts'
import { Layout } from './layout.ts'
import { maxPieceCount, maxPieceLength, maxTorrentBytes } from './limits.ts'
import type { Metainfo } from './metainfo.ts'
import { nameKeys, readNames } from './read-names.ts'

/** Bytes that are copied and hashed before yielding to the event loop. */
const bytesOfStep = 2 ** 20

/** How to parse a torrent. */
export interface ParseOptions {
  /** Whether to ignore the limit on the path elements of all files together, for a torrent that an earlier version accepted. */
  readonly unlimited?: boolean
}

/** The keys of an `info` dictionary that are read. */
export const infoKeys: KeyTree = {
  ...nameKeys,
  'meta version': {},
  'piece length': {},
  pieces: {},
  private: {}
}

/**
 * Checks and decodes an `info` dictionary from peers (BEP 9), which has no trackers, web seeds or nodes. The result holds a copy of
 * the bytes.
 * @throws TorrentError as {@link parseTorrent} does.
 */
export function parseInfo(infoBytes: Uint8Array): Metainfo {
  return runSteps(parseInfoSteps(infoBytes))
}

/**
 * {@link parseInfo} that yields to the event loop when the torrent is large; `infoBytes` must not change meanwhile. Rejects with the
 * signal's reason on abort.
 */
export function parseInfoInSlices(infoBytes: Uint8Array, signal?: AbortSignal): Promise<Metainfo> {
  return runStepsInSlices(parseInfoSteps(infoBytes), signal)
}

function* parseInfoSteps(infoBytes: Uint8Array): Steps<Metainfo> {
  // Trailing bytes are an error here, because every byte counts for the info hash.
  const outline = yield* outlineSteps(withinLimit(infoBytes), infoKeys)
  if (!outline.isDict) throw invalid('the info is not a dictionary')
  const fields = yield* readInfo(outline, {})
  return { ...fields, announce: [], webSeeds: [], httpSeeds: [], nodes: [] }
}

/** The contents of the `info` dictionary. */
export type InfoFields = Omit<Metainfo, 'announce' | 'webSeeds' | 'httpSeeds' | 'nodes'>

/** Returns `bytes`, or throws when there are more than {@link maxTorrentBytes}. */
export function withinLimit(bytes: Uint8Array): Uint8Array {
  if (!isBytes(bytes)) throw invalid(`${show(bytes)} must be a Uint8Array`)
  if (bytes.length <= maxTorrentBytes) return bytes
  throw invalid(`it has ${bytes.length} bytes, more than ${maxTorrentBytes}`, { length: bytes.length })
}

/** Decodes an `info` dictionary from the outline of its {@link infoKeys}; copies its bytes. */
export function* readInfo(dict: Outline, { unlimited = false }: ParseOptions): Steps<InfoFields> {
  const { raw } = dict
  const hybrid = isHybrid(dict)
  const pieceLength = readPieceLength(dict)
  const hashed = dict.string('pieces')
  if (hashed === undefined) throw invalid("'pieces' must be a byte string")
  const { info, infoHashes } = yield* copyAndHash(raw, hybrid)
  const { name, files, hasOtherSpellings } = yield* readNames(dict, infoHashes, {
    spelling: '0.2',
    unlimited
  })
  const { length, pieceCount } = new Layout(pieceLength, files)
  if (length === 0) throw invalid('its files have no bytes')
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
    ...(hasOtherSpellings && { spelling: '0.2' }),
    length,
    pieceLength,
    pieces: info.subarray(at, at + hashed.length),
    files,
    singleFile: dict.get('files') === undefined,
    private: readPrivate(dict)
  }
}

/** Returns whether the torrent is both version 1 and 2; throws when it is not version 1. */
function isHybrid(dict: Outline): boolean {
  const version = dict.get('meta version')
  if (version === undefined || version.scalar === 1) return false
  if (version.scalar !== 2) {
    throw new TorrentError(
      'ERR_METAINFO_UNSUPPORTED',
      `Torrents of meta version ${shown(version.scalar, true)} are not supported`
    )
  }
  if (dict.get('pieces') !== undefined) return true
  throw new TorrentError(
    'ERR_METAINFO_UNSUPPORTED',
    'Torrents of version 2 alone (BEP 52) are not supported, hybrids are'
  )
}

function readPieceLength(dict: Outline): number {
  const value = dict.get('piece length')?.scalar
  if (typeof value === 'number' && value > 0 && value <= maxPieceLength) return value
  throw invalid(
    `'piece length' must be an integer from 1 to ${maxPieceLength}, not ${shown(value, dict.get('piece length') !== undefined)}`
  )
}

/** Copies the bytes and computes their hashes. */
function* copyAndHash(raw: Uint8Array, hybrid: boolean): Steps<{ info: Uint8Array; infoHashes: InfoHashes }> {
  // Not slice(), which returns a view for a Buffer.
  const info = new Uint8Array(raw.length)
  const [v1, v2] = [createHash('sha1'), hybrid ? createHash('sha256') : undefined]
  for (let at = 0; at < raw.length; at += bytesOfStep) {
    const part = raw.subarray(at, at + bytesOfStep)
    info.set(part, at)
    v1.update(part)
    v2?.update(part)
    yield
  }
  const infoHashes = {
    v1: new Uint8Array(v1.digest()),
    ...(v2 !== undefined && { v2: new Uint8Array(v2.digest()) })
  }
  return { info, infoHashes }
}

/** Any integer but 0 means private, as in other clients; other types are ignored. */
function readPrivate(dict: Outline): boolean {
  const value = dict.get('private')?.scalar
  return typeof value === 'bigint' || (typeof value === 'number' && value !== 0)
}
