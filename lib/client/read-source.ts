import { readFile, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import { hashesOfBytes, type InfoHashes, isInfoHashes, parseV1 } from '../metainfo/info-hashes.ts'
import { maxTorrentBytes } from '../metainfo/limits.ts'
import { type Magnet, parseMagnet } from '../metainfo/magnet.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { parseTorrentInSlices } from '../metainfo/parse-torrent.ts'
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
import { type ClientOptions, proxyOf, refusal } from './options.ts'

/**
 * A source for `client.add`: a magnet URI, an info hash (hex, base32, 20 bytes), a .torrent (path, URL, or its bytes), or the result of
 * `readSource`. Quotes or angle brackets around a text are ignored.
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

/** Options of {@link readSource}. */
export interface ReadSourceOptions {
  /** Aborts the reading. */
  readonly signal?: AbortSignal | undefined
  /** `'remote'` for a source that the program got from someone else: no paths, and only public hosts. Default `'program'`. */
  readonly trust?: Trust | undefined
  /** Local IP address to connect from; default: all interfaces. */
  readonly host?: string | undefined
  /** Proxy for URLs, as the client's option; default none. */
  readonly proxy?: ClientOptions['proxy']
}

/** Options of {@link readSourceOver}. */
export type ReadSourceOverOptions = Omit<ReadSourceOptions, 'host' | 'proxy'>

/** Most characters of a source that an error message shows. */
const mostLetters = 100
/** Most characters that are redacted for a message: redacting megabytes would block the event loop. */
const mostRead = 4096
const wanted =
  'a source is a magnet link, an info hash, or a .torrent given as an http, https or file URL, a path, or bytes'

/**
 * Reads and parses a source as `client.add` does, without contacting peers: a .torrent, a magnet link or an info hash. A URL can redirect to
 * or answer with a magnet link. Files, bytes and answers can be compressed with gzip.
 * @throws TorrentError ERR_METAINFO_SOURCE if it is not a source; ERR_CLIENT_SOURCE if it cannot be read; errors of `parseTorrent` and
 * `parseMagnet`; the signal's reason.
 */
export async function readSource(
  source: TorrentSource,
  options: ReadSourceOptions = {}
): Promise<Metainfo | Magnet> {
  checkOptionNames(options, ['signal', 'trust', 'host', 'proxy'], refusal)
  const { signal, trust, host } = options
  checkSignal(signal, refusal)
  checkTrust(trust, refusal)
  checkType('host', host, 'string', refusal)
  const proxy = proxyOf(options.proxy)
  signal?.throwIfAborted()
  const network = new Network({ host, proxy })
  try {
    return await readSourceOver(network, source, options)
  } finally {
    await network.close()
  }
}

/** Reads a source as {@link readSource} does, over a network that the caller closes. */
export async function readSourceOver(
  network: Network,
  source: TorrentSource,
  options: ReadSourceOverOptions
): Promise<Metainfo | Magnet> {
  const { signal } = options
  if (typeof source === 'string') return readText(network, source, options)
  const bytes = await bytesOf(source, signal)
  if (bytes !== undefined) {
    const infoHashes = hashesOfBytes(bytes)
    return infoHashes === undefined ? readBytes(bytes, 'the data given') : ofHashes(infoHashes)
  }
  if (isUrl(source)) return readText(network, source.href, options)
  if (isMetainfo(source) || isMagnet(source)) return source
  throw notASource(source)
}

async function readText(
  network: Network,
  given: string,
  options: ReadSourceOverOptions
): Promise<Metainfo | Magnet> {
  const text = given.trim()
  const inner = unquoted(text)
  return (
    (await readLink(network, text, options)) ??
    (inner === undefined ? undefined : await readLink(network, inner, options)) ??
    readPath(text, inner, options)
  )
}

/** Returns the text inside quotes or angle brackets, as copied from mails and shells, or undefined if there are none. */
function unquoted(text: string): string | undefined {
  const match = /^(?:"(.*)"|'(.*)'|`(.*)`|<(.*)>|“(.*)”|«(.*)»)$/s.exec(text)
  return match
    ?.slice(1)
    .find((inside) => inside !== undefined)
    ?.trim()
}

/** Reads a magnet link, URL or info hash; returns undefined for other texts, which may be paths. */
async function readLink(
  network: Network,
  text: string,
  options: ReadSourceOverOptions
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
  { signal, trust }: ReadSourceOverOptions
): Promise<Metainfo | Magnet> {
  if (text === '') throw notASource(text)
  if (trust === 'remote') {
    const message = `'${short(text)}' is no magnet link, info hash or http address, and paths are not read with trust 'remote'`
    throw new TorrentError('ERR_METAINFO_SOURCE', message)
  }
  // A file name can begin and end with quotes, so the text with its quotes is tried first.
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

/** Parses bytes, the content of a file or an HTTP body: a .torrent or a magnet link, possibly compressed with gzip. */
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
        `it is ${kind}; the site may require a login, or the link may be wrong`
      )
    return await parseTorrentInSlices(bytes)
  } catch (thrown) {
    const cause = asError(thrown)
    const code =
      isTorrentError(cause) && !cause.code.startsWith('ERR_TRACKER') ? cause.code : 'ERR_CLIENT_SOURCE'
    throw new TorrentError(code, `${where} is not a usable .torrent: ${cause.message}`, {
      cause,
      details: { where }
    })
  }
}

/** Returns the first line that is not empty, without a byte order mark. */
function firstLine(bytes: Uint8Array): string {
  const [line = ''] = new TextDecoder()
    .decode(bytes)
    .trimStart()
    .split(/[\r\n]/, 1)
  return line.trim()
}

/** Returns a name for the kind of text (web page, JSON, …) that a site sent instead of a .torrent, or undefined. */
function kindOf(start: string): string | undefined {
  if (/^<\?xml|^<(?:rss|feed|error)\b/i.test(start)) return 'an XML document'
  if (/^<(?:!|[a-z])/i.test(start)) return 'a web page (HTML)'
  return /^[{[]\s*["{[\]}]/.test(start) ? 'a JSON document' : undefined
}

/** Returns a copy of the bytes of a buffer, a view or a Blob; undefined for anything else. */
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

// Checks members and not `instanceof`: values can come from another realm or another copy of the library.
function isUrl(source: unknown): source is URL {
  return isObject(source) && typeof source['href'] === 'string' && typeof source['protocol'] === 'string'
}

function isBlob(source: unknown): source is Blob {
  return isObject(source) && typeof source['arrayBuffer'] === 'function' && typeof source['size'] === 'number'
}

/** Returns whether a value is a result of `parseTorrent`, also of another realm or another copy of the library. */
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
  // The OS error contains the whole path, which may be a mistyped link with a passkey. It is then left out as the cause.
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

/** Returns a hint for values that are often passed by mistake. */
function hintFor(source: unknown): string | undefined {
  if (!isObject(source)) return undefined
  if (typeof source['then'] === 'function') return 'await the promise first'
  if (typeof source['pipe'] === 'function' || typeof source['getReader'] === 'function')
    return 'collect the bytes of the stream first'
  if (typeof source['magnetURI'] === 'string') return 'give its magnetURI or torrentFile'
  if (Array.isArray(source)) return 'add one torrent at a time'
  return undefined
}

/** Returns the redacted beginning of a text for a message. */
function short(text: string): string {
  // Drops the last, incomplete word: redaction might not recognize a secret in a cut-off URL.
  const start = text.length <= mostRead ? text : text.slice(0, mostRead).replace(/\s\S*$/, '')
  const shown = redactText(start).replace(/\s+/g, ' ')
  return shown.length <= mostLetters ? shown : `${shown.slice(0, mostLetters - 1)}…`
}
