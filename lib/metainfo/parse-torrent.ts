import { type BencodeInput, encode } from '../bencode/encode.ts'
import { type Outline, outlinePrefixSteps } from '../bencode/outline.ts'
import { fromText, isBytes } from '../util/bytes.ts'
import { show } from '../util/show.ts'
import { runSteps, runStepsInSlices, type Steps } from '../util/slices.ts'
import { invalid } from './invalid.ts'
import type { Metainfo } from './metainfo.ts'
import { infoKeys, type ParseOptions, readInfo, withinLimit } from './parse-info.ts'
import { readNodes, readTrackers, readUrls } from './read-lists.ts'

/** Bytes of a text that are decoded before yielding to the event loop. */
const bytesOfStep = 2 ** 18

const torrentKeys = {
  info: infoKeys,
  announce: {},
  'announce-list': {},
  'url-list': {},
  httpseeds: {},
  nodes: {},
  comment: {},
  'comment.utf-8': {},
  'created by': {},
  'created by.utf-8': {},
  'creation date': {}
}

/**
 * Checks and decodes a .torrent (BEP 3, 5, 12, 17, 19, 27, 47). Paths are made safe and unique. Symbolic links (BEP 47 `l`) are
 * skipped. Lists of URLs and nodes are cut at 1000 entries; entries that are not text are skipped. Bytes after the bencoded value
 * are ignored. The result holds copies. Needs up to 16 times the bytes in memory.
 * @throws TorrentError ERR_METAINFO_INVALID, also above 64 MiB or 2,000,000 path elements; ERR_METAINFO_UNSUPPORTED for a torrent of
 * version 2 only (BEP 52); ERR_BENCODE_SYNTAX or ERR_BENCODE_LIMIT.
 */
export function parseTorrent(bytes: Uint8Array): Metainfo {
  return runSteps(parseTorrentSteps(bytes))
}

/** {@link parseTorrent} that yields to the event loop when the torrent is large; `bytes` must not change meanwhile. */
export function parseTorrentInSlices(bytes: Uint8Array, options: ParseOptions = {}): Promise<Metainfo> {
  return runStepsInSlices(parseTorrentSteps(bytes, options))
}

/** {@link parseTorrent} in steps. */
export function* parseTorrentSteps(bytes: Uint8Array, options: ParseOptions = {}): Steps<Metainfo> {
  // Trailing bytes are ignored, because writers and transfers leave newlines, zeros and markup there.
  const dict = yield* outlinePrefixSteps(withinLimit(bytes), torrentKeys)
  if (!dict.isDict) throw invalid('it is not a dictionary')
  const info = dict.get('info')
  if (info?.isDict !== true) throw invalid("'info' must be a dictionary")
  const comment = yield* looseText(dict, 'comment')
  const createdBy = yield* looseText(dict, 'created by')
  const creationDate = new Date((dict.integer('creation date') ?? Number.NaN) * 1000)
  return {
    ...(yield* readInfo(info, options)),
    announce: yield* readTrackers(dict),
    webSeeds: yield* readUrls(dict.get('url-list')),
    httpSeeds: yield* readUrls(dict.get('httpseeds')),
    nodes: yield* readNodes(dict.get('nodes')),
    ...(comment !== undefined && { comment }),
    ...(createdBy !== undefined && { createdBy }),
    ...(!Number.isNaN(creationDate.getTime()) && { creationDate })
  }
}

/** Formats the .torrent of a metainfo; copies the `info` bytes unchanged, so the info hash stays the same. */
export function formatTorrent(metainfo: Metainfo): Uint8Array {
  const given: unknown = metainfo
  if (
    typeof given !== 'object' ||
    given === null ||
    !isBytes(metainfo.info) ||
    !Array.isArray(metainfo.announce)
  )
    throw invalid(`${show(given)} is not a Metainfo`)
  const { announce, webSeeds, httpSeeds, nodes, comment, createdBy, creationDate } = metainfo
  const listed = (list: readonly string[]): BencodeInput | undefined => (list.length > 0 ? list : undefined)
  const single = announce.length === 1 && announce[0]?.length === 1
  const before = encode({
    announce: announce[0]?.[0],
    'announce-list': announce.length === 0 || single ? undefined : announce,
    comment,
    'created by': createdBy,
    'creation date': creationDate === undefined ? undefined : Math.floor(creationDate.getTime() / 1000),
    httpseeds: listed(httpSeeds)
  })
  const after = encode({
    nodes: nodes.length > 0 ? nodes.map(splitNode) : undefined,
    'url-list': listed(webSeeds)
  })
  // Keys must be sorted: all of `before` sort ahead of `info`, all of `after` behind it.
  const parts = [before.subarray(0, -1), fromText('4:info'), metainfo.info, after.subarray(1)]
  const torrent = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    torrent.set(part, at)
    at += part.length
  }
  return torrent
}

function splitNode(node: string): BencodeInput {
  const colon = node.lastIndexOf(':')
  return [node.slice(0, colon).replace(/^\[|\]$/g, ''), Number(node.slice(colon + 1))]
}

function* looseText(dict: Outline, key: string): Steps<string | undefined> {
  const raw = dict.string(`${key}.utf-8`) ?? dict.string(key)
  if (raw === undefined) return undefined
  const decoder = new TextDecoder()
  let text = ''
  for (let at = 0; at < raw.length; at += bytesOfStep) {
    if (at > 0) yield
    text += decoder.decode(raw.subarray(at, at + bytesOfStep), { stream: true })
  }
  return text + decoder.decode()
}
