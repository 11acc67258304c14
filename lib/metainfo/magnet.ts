import { formatAddress, type PeerAddress, parseAddress, readAddress } from '../util/address.ts'
import { equalBytes, isBytes, toHex } from '../util/bytes.ts'
import { TorrentError } from '../util/errors.ts'
import { redactUrl } from '../util/redact.ts'
import { show } from '../util/show.ts'
import { type InfoHashes, parseV1, parseV2 } from './info-hashes.ts'
import type { Range } from './layout.ts'
import { maxFileIndex, maxListed, maxParameters, maxRanges, maxUriLength } from './limits.ts'

/** The contents of a magnet link (BEP 9, BEP 53). */
export interface Magnet {
  /** At least one of v1 and v2 is set. */
  readonly infoHashes: InfoHashes
  /** `dn`: a name to show until the metadata arrives; not safe as a path. */
  readonly name?: string
  /** `tr`, in order, without duplicates. */
  readonly trackers: readonly string[]
  /** `x.pe`: peers to dial at once. */
  readonly peers: readonly PeerAddress[]
  /** `ws`: web seed URLs (BEP 19). */
  readonly webSeeds: readonly string[]
  /** `xs`: URLs of the .torrent itself; undefined for none. */
  readonly exactSources?: readonly string[]
  /**
   * `so`: half-open ranges of indices in the torrent's list of files, pad files included, in ascending order (BEP 53); undefined
   * selects all. Indices may be beyond the end of the list.
   */
  readonly selectOnly?: readonly Range[]
  /** `xl`: bytes of all files. */
  readonly length?: number
}

/**
 * Parses a magnet URI. Unknown parameters and invalid values are ignored, because links are copied by hand and rewritten by many
 * programs; only the info hash must be valid.
 * @throws TorrentError ERR_METAINFO_MAGNET when it is not a magnet URI or has no info hash of version 1 or 2.
 */
export function parseMagnet(uri: string): Magnet {
  if (typeof uri !== 'string') throw refusal('it is not a string', show(uri))
  if (!/^magnet:\?/i.test(uri)) throw refusal("it does not begin with 'magnet:?'", uri)
  if (uri.length > maxUriLength)
    throw refusal(`it has ${uri.length} characters, more than ${maxUriLength}`, uri)
  const query = uri.slice(uri.indexOf('?') + 1).replace(/&amp;/gi, '&')
  const parameters = new URLSearchParams(query.split('&', maxParameters).join('&'))
  const trackers = new Set<string>()
  const webSeeds = new Set<string>()
  const exactSources = new Set<string>()
  const peers = new Map<string, PeerAddress>()
  let infoHashes: InfoHashes = {}
  let name: string | undefined
  let length: number | undefined
  const ranges: Range[] = []
  for (const [parameter, value] of parameters) {
    const key = parameter.toLowerCase().replace(/\.\d+$/, '')
    if (value === '') continue
    if (key === 'xt') infoHashes = withTopic(infoHashes, value, uri)
    else if (key === 'dn') name ??= value
    else if (key === 'tr' && trackers.size < maxListed) trackers.add(value.trim())
    else if (key === 'ws' && webSeeds.size < maxListed) webSeeds.add(value.trim())
    else if (key === 'xs' && exactSources.size < maxListed) exactSources.add(value.trim())
    else if (key === 'x.pe' && peers.size < maxListed) {
      const peer = peerOf(value)
      if (peer !== undefined) peers.set(formatAddress(peer), peer)
    } else if (key === 'so') addRanges(ranges, value)
    else if (key === 'xl' && /^\d{1,15}$/.test(value)) length ??= Number(value)
  }
  if (infoHashes.v1 === undefined && infoHashes.v2 === undefined) {
    throw refusal(
      "it names no info hash: 'xt=urn:btih:' with 40 hex or 32 base32 digits, or 'xt=urn:btmh:'",
      uri
    )
  }
  const selectOnly = joined(ranges)
  return {
    infoHashes,
    ...(name !== undefined && { name }),
    trackers: [...trackers],
    peers: [...peers.values()],
    webSeeds: [...webSeeds],
    ...(exactSources.size > 0 && { exactSources: [...exactSources] }),
    ...(selectOnly.length > 0 && { selectOnly }),
    ...(length !== undefined && { length })
  }
}

/** The contents of a magnet link; everything but the info hash is optional. */
export type MagnetInput = Pick<Magnet, 'infoHashes'> & Partial<Magnet>

/**
 * Formats a magnet URI; {@link parseMagnet} returns the same contents.
 * @throws TorrentError ERR_METAINFO_MAGNET when there is no info hash, or its length is wrong.
 */
export function formatMagnet(magnet: MagnetInput): string {
  const given: unknown = magnet
  if (typeof given !== 'object' || given === null || typeof magnet.infoHashes !== 'object')
    throw new TorrentError('ERR_METAINFO_MAGNET', `${show(given)} is not an object with infoHashes`)
  const { infoHashes, name, trackers = [], peers = [], webSeeds = [], exactSources = [] } = magnet
  const { selectOnly, length } = magnet
  for (const [field, list] of Object.entries({ trackers, peers, webSeeds, exactSources }))
    if (!Array.isArray(list))
      throw new TorrentError('ERR_METAINFO_MAGNET', `${field}: ${show(list)} is not a list`)
  const { v1, v2 } = infoHashes ?? {}
  const parts: string[] = []
  if (v1 !== undefined) parts.push(`xt=urn:btih:${hexOf(v1, 20)}`)
  if (v2 !== undefined) parts.push(`xt=urn:btmh:1220${hexOf(v2, 32)}`)
  if (parts.length === 0) throw new TorrentError('ERR_METAINFO_MAGNET', 'A magnet link needs an info hash')
  const add = (key: string, value: string): number =>
    parts.push(`${key}=${encodeURIComponent(wellFormed(value))}`)
  if (name !== undefined) add('dn', name)
  if (length !== undefined) parts.push(`xl=${length}`)
  for (const url of trackers) add('tr', url)
  for (const url of webSeeds) add('ws', url)
  for (const url of exactSources) add('xs', url)
  for (const peer of peers) parts.push(`x.pe=${formatAddress(readAddress(peer))}`)
  if (selectOnly !== undefined && selectOnly.length > 0) {
    const ranges = selectOnly.map(({ start, end }) =>
      end - start === 1 ? `${start}` : `${start}-${end - 1}`
    )
    parts.push(`so=${ranges.join(',')}`)
  }
  return `magnet:?${parts.join('&')}`
}

/** Replaces lone surrogates with U+FFFD, because encodeURIComponent throws on them. */
function wellFormed(text: string): string {
  if (typeof text !== 'string') throw new TorrentError('ERR_METAINFO_MAGNET', `${show(text)} is not a string`)
  return Buffer.from(text).toString()
}

function refusal(reason: string, uri: string): TorrentError {
  const safe = redactUrl(uri)
  const short = safe.length > 100 ? `${safe.slice(0, 100)}…` : safe
  return new TorrentError('ERR_METAINFO_MAGNET', `'${short}' is not a valid magnet link: ${reason}`, {
    details: { uri: short }
  })
}

function withTopic(known: InfoHashes, topic: string, uri: string): InfoHashes {
  const [, kind, text = ''] = /^urn:(bt[im]h):(.*)$/is.exec(topic) ?? []
  if (kind === undefined) return known
  const version = kind.toLowerCase() === 'btih' ? 'v1' : 'v2'
  const hash = version === 'v1' ? parseV1(text) : parseV2(text)
  if (hash === undefined) throw refusal(`'${topic.slice(0, 100)}' is not an info hash`, uri)
  const before = known[version]
  if (before !== undefined && !equalBytes(before, hash))
    throw refusal('it names two different info hashes', uri)
  return { ...known, [version]: hash }
}

function hexOf(hash: Uint8Array, length: number): string {
  if (!isBytes(hash)) throw new TorrentError('ERR_METAINFO_MAGNET', `${show(hash)} is not an info hash`)
  if (hash.length === length) return toHex(hash)
  throw new TorrentError(
    'ERR_METAINFO_MAGNET',
    `An info hash of ${hash.length} bytes where ${length} are needed`
  )
}

function peerOf(text: string): PeerAddress | undefined {
  try {
    return parseAddress(text.trim())
  } catch {
    return undefined
  }
}

/** Adds the ranges of a text such as `0,2,4-6` to `ranges`; invalid parts are ignored. */
function addRanges(ranges: Range[], text: string): void {
  for (const part of text.split(',', maxRanges)) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? []
    if (first === undefined || Number(last) < Number(first)) continue
    if (ranges.length >= maxRanges) return
    ranges.push({
      start: Math.min(Number(first), maxFileIndex),
      end: Math.min(Number(last), maxFileIndex) + 1
    })
  }
}

/** Sorts the ranges and joins those that touch or overlap. */
function joined(ranges: readonly Range[]): Range[] {
  const result: Range[] = []
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    const before = result.at(-1)
    if (before === undefined || range.start > before.end) result.push(range)
    else result[result.length - 1] = { start: before.start, end: Math.max(before.end, range.end) }
  }
  return result
}
