import { readFile, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import { hashesOfBytes, type InfoHashes, isInfoHashes, parseV1 } from '../metainfo/info-hashes.ts'
import { maxTorrentBytes } from '../metainfo/limits.ts'
import { type Magnet, parseMagnet } from '../metainfo/magnet.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { parseTorrentInTurns } from '../metainfo/parse-torrent.ts'
import { unpackBody } from '../net/http-body.ts'
import { Network } from '../net/network.ts'
import { isBytes } from '../util/bytes.ts'
import { abortable } from '../util/concurrency.ts'
import { asError, isTorrentError, systemCode, TorrentError } from '../util/errors.ts'
import { checkOptionNames, checkSignal, checkType } from '../util/options.ts'
import { redactText, redactUrl } from '../util/redact.ts'
import { show } from '../util/show.ts'
import { checkTrust, type Trust } from '../util/trust.ts'
import { fetchSource } from './fetch-source.ts'
import { refusal } from './options.ts'

/**
 * A source for `client.add`: a magnet URI, an info hash (hex, base32, 20 bytes), a .torrent (path, URL, bytes in any form), or one of them
 * parsed. Text may stand in quotes or angle brackets.
 */
export type TorrentSource =
  | string
  | URL
  | Uint8Array
  | ArrayBuffer
  | SharedArrayBuffer
  | ArrayBufferView
  | Blob
  | Metainfo
  | Magnet

/** How a source is read. */
export interface ReadSourceOptions {
  readonly signal?: AbortSignal | undefined
  /** `'remote'` for what somebody else gave to the program: no path is read, and a URL leads to public hosts alone. Default `'program'`. */
  readonly trust?: Trust | undefined
  /** The local address that a request leaves from; default any. */
  readonly host?: string | undefined
}

/** How a source is read over a given network. */
export type SourceReading = Omit<ReadSourceOptions, 'host'>

/** Longer texts are cut in messages. */
const mostLetters = 100
/** Letters of a text that a message is made of: redacting megabytes takes a long turn. */
const mostRead = 4096
const wanted =
  'a source is a magnet link, an info hash, or a .torrent as http, https or file URL, as path or as bytes'

/**
 * Reads what a source says of itself, as `client.add` does, without asking any peer: the metadata of a .torrent, or what a magnet link or
 * info hash tells. A URL may redirect to a magnet link or answer with one; file, bytes and answer may be packed with gzip.
 * @throws TorrentError ERR_METAINFO_SOURCE for what is no source, ERR_CLIENT_SOURCE for what cannot be read, or what parsing throws; the
 * signal's reason.
 */
export async function readSource(
  source: TorrentSource,
  options: ReadSourceOptions = {}
): Promise<Metainfo | Magnet> {
  checkOptionNames(options, ['signal', 'trust', 'host'], refusal)
  const { signal, trust, host } = options
  checkSignal(signal, refusal)
  checkTrust(trust, refusal)
  checkType('host', host, 'string', refusal)
  signal?.throwIfAborted()
  const network = new Network({ host })
  try {
    return await readSourceOver(network, source, options)
  } finally {
    await network.close()
  }
}

/** Reads a source as {@link readSource} does, over a network that stays open. */
export async function readSourceOver(
  network: Network,
  source: TorrentSource,
  options: SourceReading
): Promise<Metainfo | Magnet> {
  const { signal } = options
  if (typeof source === 'string') return readText(network, source, options)
  const bytes = await bytesOf(source, signal)
  if (bytes !== undefined) {
    const infoHashes = hashesOfBytes(bytes)
    return infoHashes === undefined ? readBytes(bytes, 'the bytes given') : ofHashes(infoHashes)
  }
  if (isUrl(source)) return readText(network, source.href, options)
  if (isMetainfo(source) || isMagnet(source)) return source
  throw notASource(source)
}

async function readText(network: Network, given: string, options: SourceReading): Promise<Metainfo | Magnet> {
  const text = given.trim()
  const inner = unquoted(text)
  return (
    (await readLink(network, text, options)) ??
    (inner === undefined ? undefined : await readLink(network, inner, options)) ??
    readPath(text, inner, options)
  )
}

/** The text within quotes or angle brackets, as mails, shells and file managers give it; undefined when it is in none. */
function unquoted(text: string): string | undefined {
  const match = /^(?:"(.*)"|'(.*)'|`(.*)`|<(.*)>|“(.*)”|«(.*)»)$/s.exec(text)
  return match
    ?.slice(1)
    .find((inside) => inside !== undefined)
    ?.trim()
}

/** Reads what is no path; undefined for anything else. */
async function readLink(
  network: Network,
  text: string,
  options: SourceReading
): Promise<Metainfo | Magnet | undefined> {
  if (/^magnet:/i.test(text)) return parseMagnet(text)
  if (/^https?:\/\//i.test(text)) {
    const fetched = await fetchSource(network, text, options)
    return typeof fetched === 'string' ? parseMagnet(fetched) : readBytes(fetched, redactUrl(text))
  }
  const v1 = parseV1(text)
  return v1 && ofHashes({ v1 })
}

async function readPath(
  text: string,
  inner: string | undefined,
  { signal, trust }: SourceReading
): Promise<Metainfo | Magnet> {
  if (text === '') throw notASource(text)
  if (trust === 'remote') {
    const message = `'${short(text)}' is no magnet link, info hash or http address, and paths are not read for others`
    throw new TorrentError('ERR_METAINFO_SOURCE', message)
  }
  // A name may begin and end with quotes; only if there is no such file, they are none of its own.
  const bytes =
    (inner === undefined ? undefined : await loadFile(text, signal).catch(() => undefined)) ??
    (await loadFile(inner ?? text, signal))
  return readBytes(bytes, short(text))
}

async function loadFile(text: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    const path = /^file:/i.test(text) ? fileURLToPath(text) : text
    const { size } = await stat(path)
    if (size > maxTorrentBytes) throw new Error(`it has ${size} bytes, more than ${maxTorrentBytes}`)
    return await readFile(path, { signal })
  } catch (cause) {
    signal?.throwIfAborted()
    throw unreadable(text, asError(cause))
  }
}

/** Reads a file, given bytes or the body of an answer: a .torrent, one packed with gzip, or a magnet link. */
async function readBytes(given: Uint8Array, where: string): Promise<Metainfo | Magnet> {
  try {
    const bytes =
      given[0] === 0x1f && given[1] === 0x8b ? await unpackBody(given, 'gzip', maxTorrentBytes) : given
    const start = Buffer.from(bytes.subarray(0, 1024))
      .toString('latin1')
      .replace(/^\xef\xbb\xbf/, '')
      .trimStart()
    if (/^magnet:\?/i.test(start)) return parseMagnet(firstLine(bytes))
    const kind = kindOf(start)
    if (kind !== undefined)
      throw new TorrentError(
        'ERR_METAINFO_SOURCE',
        `it is ${kind}; the site may want a login, or another link`
      )
    return await parseTorrentInTurns(bytes)
  } catch (thrown) {
    const cause = asError(thrown)
    const code =
      isTorrentError(cause) && !cause.code.startsWith('ERR_TRACKER') ? cause.code : 'ERR_CLIENT_SOURCE'
    throw new TorrentError(code, `${where} is no usable .torrent: ${cause.message}`, {
      cause,
      details: { where }
    })
  }
}

/** The first line that is not empty, without a byte order mark. */
function firstLine(bytes: Uint8Array): string {
  const [line = ''] = new TextDecoder()
    .decode(bytes)
    .trimStart()
    .split(/[\r\n]/, 1)
  return line.trim()
}

/** Names the kind of text (web page, JSON, …) that a site sent instead of a .torrent; undefined if it is not recognized. */
function kindOf(start: string): string | undefined {
  if (/^<\?xml|^<(?:rss|feed|error)\b/i.test(start)) return 'an XML document'
  if (/^<(?:!|[a-z])/i.test(start)) return 'a web page (HTML)'
  return /^[{[]\s*["{[\]}]/.test(start) ? 'a JSON document' : undefined
}

/** The bytes of a buffer, a view or a Blob, in memory of their own; undefined for anything else. */
async function bytesOf(source: unknown, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice()
  }
  if (types.isAnyArrayBuffer(source)) return new Uint8Array(source).slice()
  if (!isBlob(source)) return undefined
  if (source.size > maxTorrentBytes) {
    const message = `the Blob has ${source.size} bytes, more than ${maxTorrentBytes}`
    throw new TorrentError('ERR_CLIENT_SOURCE', message)
  }
  return new Uint8Array(await abortable(source.arrayBuffer(), signal))
}

function ofHashes(infoHashes: InfoHashes): Magnet {
  return { infoHashes, trackers: [], peers: [], webSeeds: [] }
}

// By what they have, as each may come from another realm or another copy of the library.
function isUrl(source: unknown): source is URL {
  return isObject(source) && typeof source['href'] === 'string' && typeof source['protocol'] === 'string'
}

function isBlob(source: unknown): source is Blob {
  return isObject(source) && typeof source['arrayBuffer'] === 'function' && typeof source['size'] === 'number'
}

/** Whether a value is what `parseTorrent` returns, be it of another realm or another copy of the library. */
export function isMetainfo(source: unknown): source is Metainfo {
  if (!isObject(source) || !isInfoHashes(source['infoHashes'])) return false
  const { info, pieces, files, announce, nodes, name } = source
  const lists = [files, announce, nodes].every(Array.isArray)
  return lists && [info, pieces].every(isBytes) && typeof name === 'string'
}

function isMagnet(source: unknown): source is Magnet {
  if (!isObject(source) || 'info' in source || !isInfoHashes(source['infoHashes'])) return false
  return Array.isArray(source['trackers']) && Array.isArray(source['peers'])
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function unreadable(text: string, cause: Error): TorrentError {
  const code = systemCode(cause)
  const reason =
    code === 'ENOENT' || code === 'ENAMETOOLONG'
      ? `there is no such file; ${wanted}`
      : code === 'EISDIR'
        ? 'it is a folder; seed() shares one'
        : redactText(cause.message)
  // The system names the path in full, and what was taken for one may be a link with a passkey in it.
  return new TorrentError('ERR_CLIENT_SOURCE', `${short(text)} could not be read: ${reason}`, {
    ...(redactText(text) === text ? { cause } : {}),
    details: { path: short(text), ...(code === undefined ? {} : { code }) }
  })
}

function notASource(source: unknown): TorrentError {
  const hint = hintFor(source)
  return new TorrentError(
    'ERR_METAINFO_SOURCE',
    `${short(show(source))} is no source: ${hint === undefined ? '' : `${hint}; `}${wanted}`
  )
}

/** Hints for values that are mistaken for a source. */
function hintFor(source: unknown): string | undefined {
  if (!isObject(source)) return undefined
  if (typeof source['then'] === 'function') return 'await the promise first'
  if (typeof source['pipe'] === 'function' || typeof source['getReader'] === 'function')
    return 'collect the bytes of the stream first'
  if (typeof source['magnetURI'] === 'string') return 'give its magnetURI or torrentFile'
  if (Array.isArray(source)) return 'add one torrent at a time'
  return undefined
}

/** The beginning of a text as a message may show it. */
function short(text: string): string {
  // A word that is cut off may be an address whose secrets are not recognized.
  const start = text.length <= mostRead ? text : text.slice(0, mostRead).replace(/\s\S*$/, '')
  const shown = redactText(start).replace(/\s+/g, ' ')
  return shown.length <= mostLetters ? shown : `${shown.slice(0, mostLetters - 1)}…`
}
