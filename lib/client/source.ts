import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Range } from '../metainfo/layout.ts'
import { parseMagnet } from '../metainfo/magnet.ts'
import type { InfoHashes, Metainfo } from '../metainfo/metainfo.ts'
import { maxTorrentBytes } from '../metainfo/parse-info.ts'
import { parseTorrentInTurns } from '../metainfo/parse-torrent.ts'
import type { PeerAddress } from '../util/address.ts'
import { fromBase32, fromHex, isBytes } from '../util/bytes.ts'
import { asError, isError, systemCode, TorrentError } from '../util/errors.ts'
import { show } from '../util/show.ts'
import { version } from '../util/version.ts'

/** What `client.add` takes: magnet URI, info hash (hex, base32, 20 bytes), .torrent (path, URL, bytes), or parsed. */
export type TorrentSource = string | URL | Uint8Array | Metainfo

/** A source as far as it tells. */
export interface ResolvedSource {
  readonly infoHashes: InfoHashes
  readonly metainfo?: Metainfo
  readonly name?: string
  readonly trackers: readonly (readonly string[])[]
  readonly peers: readonly PeerAddress[]
  /** What of the torrent's own list of files is selected (BEP 53): half-open ranges in ascending order. */
  readonly selectOnly?: readonly Range[]
}

/** How long a .torrent may take to come over HTTP. */
const fetchMs = 30_000

/**
 * Finds out what a source is, and reads it.
 * @throws TorrentError ERR_METAINFO_SOURCE, ERR_CLIENT_SOURCE, or what parsing throws.
 */
export async function resolveSource(source: TorrentSource, signal?: AbortSignal): Promise<ResolvedSource> {
  if (isBytes(source)) {
    return source.length === 20
      ? ofHash(source.slice())
      : ofTorrent(new Uint8Array(source), 'the bytes given')
  }
  if (isUrl(source)) return resolveText(source.href, signal)
  if (typeof source === 'string') return resolveText(source.trim(), signal)
  if (typeof source === 'object' && source !== null && 'infoHashes' in source && 'info' in source) {
    return ofMetainfo(source)
  }
  throw notASource(source)
}

/** By what it has: a URL may be of another realm. */
function isUrl(source: unknown): source is URL {
  return typeof source === 'object' && source !== null && 'href' in source && typeof source.href === 'string'
}

async function resolveText(text: string, signal: AbortSignal | undefined): Promise<ResolvedSource> {
  if (/^magnet:/i.test(text)) return ofMagnet(text)
  if (/^https?:\/\//i.test(text)) return ofTorrent(await download(text, signal), text)
  const hash = text.length === 40 ? fromHex(text) : text.length === 32 ? fromBase32(text) : undefined
  if (hash !== undefined) return ofHash(hash)
  if (text === '') throw notASource(text)
  const path = /^file:/i.test(text) ? fileURLToPath(text) : text
  let bytes: Uint8Array
  try {
    bytes = await readFile(path, { signal })
  } catch (cause) {
    signal?.throwIfAborted()
    throw unreadable(path, cause)
  }
  return ofTorrent(bytes, path)
}

async function ofTorrent(bytes: Uint8Array, where: string): Promise<ResolvedSource> {
  try {
    return ofMetainfo(await parseTorrentInTurns(bytes))
  } catch (cause) {
    const code = cause instanceof TorrentError ? cause.code : 'ERR_CLIENT_SOURCE'
    throw new TorrentError(code, `${where} is no usable .torrent: ${asError(cause).message}`, {
      cause,
      details: { where }
    })
  }
}

function ofMagnet(uri: string): ResolvedSource {
  const magnet = parseMagnet(uri)
  if (magnet.infoHashes.v1 === undefined) {
    throw new TorrentError(
      'ERR_METAINFO_UNSUPPORTED',
      'the magnet link names a torrent of version 2 alone, which is not supported yet'
    )
  }
  const { selectOnly } = magnet
  return {
    infoHashes: magnet.infoHashes,
    ...(magnet.name === undefined ? {} : { name: magnet.name }),
    trackers: magnet.trackers.map((url) => [url]),
    peers: magnet.peers,
    ...(selectOnly === undefined ? {} : { selectOnly })
  }
}

function ofHash(v1: Uint8Array): ResolvedSource {
  return { infoHashes: { v1 }, trackers: [], peers: [] }
}

function ofMetainfo(metainfo: Metainfo): ResolvedSource {
  return {
    infoHashes: metainfo.infoHashes,
    metainfo,
    name: metainfo.name,
    trackers: metainfo.announce,
    peers: []
  }
}

async function download(url: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const limits = [AbortSignal.timeout(fetchMs), ...(signal === undefined ? [] : [signal])]
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any(limits),
      headers: { 'user-agent': `piecewise/${version}`, accept: 'application/x-bittorrent, */*;q=0.5' }
    })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`the server answered ${response.status} ${response.statusText}`)
    }
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body ?? []) {
      length += chunk.length
      if (length > maxTorrentBytes) throw new Error(`it is longer than ${maxTorrentBytes} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (thrown) {
    signal?.throwIfAborted()
    const cause = asError(thrown)
    const reason = isError(cause.cause) ? cause.cause.message : cause.message
    throw new TorrentError('ERR_CLIENT_SOURCE', `${url} could not be fetched: ${reason}`, {
      cause,
      details: { url }
    })
  }
}

function unreadable(path: string, cause: unknown): TorrentError {
  const reason =
    systemCode(cause) === 'ENOENT'
      ? 'there is no such file; a source is a magnet link, an info hash, or the path or URL of a .torrent file'
      : asError(cause).message
  return new TorrentError('ERR_CLIENT_SOURCE', `${path} could not be read: ${reason}`, {
    cause,
    details: { path }
  })
}

function notASource(source: unknown): TorrentError {
  const message = `${show(source)} is no source: give a magnet link, an info hash, or a .torrent as path, URL or bytes`
  return new TorrentError('ERR_METAINFO_SOURCE', message)
}
