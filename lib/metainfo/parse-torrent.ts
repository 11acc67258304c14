import { BencodeDict, type BencodeValue } from '../bencode/bencode-dict.ts'
import { type BencodeInput, encode } from '../bencode/encode.ts'
import { formatAddress } from '../util/address.ts'
import { fromText, isBytes, toText } from '../util/bytes.ts'
import { show } from '../util/show.ts'
import { runSteps, runStepsInTurns, type Steps } from '../util/turn-share.ts'
import type { Metainfo } from './metainfo.ts'
import { decodeTorrent, invalid, readInfo } from './parse-info.ts'

/** Most URLs or nodes of one kind; a torrent with more is no torrent but a weapon. */
const maxListed = 1000

/**
 * Checks and decodes a .torrent (BEP 3, 5, 12, 17, 19, 27, 47). Paths come out safe and unique, symbolic links (BEP 47
 * `l`) are left out, lists of URLs and nodes are cut at 1000 and lose what is no text. Bytes after the bencoded value are ignored.
 * The result holds copies.
 * @throws TorrentError ERR_METAINFO_INVALID, ERR_METAINFO_UNSUPPORTED for a torrent of version 2 alone (BEP 52),
 * ERR_BENCODE_SYNTAX or ERR_BENCODE_LIMIT; also for more than 64 MiB.
 */
export function parseTorrent(bytes: Uint8Array): Metainfo {
  return runSteps(parseSteps(bytes))
}

/** As {@link parseTorrent}, in several turns of the event loop when the torrent is large; `bytes` must not change meanwhile. */
export function parseTorrentInTurns(bytes: Uint8Array): Promise<Metainfo> {
  return runStepsInTurns(parseSteps(bytes))
}

function* parseSteps(bytes: Uint8Array): Steps<Metainfo> {
  const dict = yield* decodeTorrent(bytes)
  if (!(dict instanceof BencodeDict)) throw invalid('it is no dictionary')
  const info = dict.dict('info')
  const raw = dict.span('info')
  if (info === undefined || raw === undefined) throw invalid("'info' must be a dictionary")
  const comment = looseText(dict, 'comment')
  const createdBy = looseText(dict, 'created by')
  const creationDate = new Date((dict.integer('creation date') ?? Number.NaN) * 1000)
  yield
  return {
    ...(yield* readInfo(info, raw)),
    announce: readTrackers(dict),
    webSeeds: texts(dict.get('url-list')),
    httpSeeds: texts(dict.get('httpseeds')),
    nodes: readNodes(dict.list('nodes') ?? []),
    ...(comment !== undefined && { comment }),
    ...(createdBy !== undefined && { createdBy }),
    ...(!Number.isNaN(creationDate.getTime()) && { creationDate })
  }
}

/** The .torrent of a metainfo; its `info` bytes are kept as they are, so the info hash stays. */
export function formatTorrent(metainfo: Metainfo): Uint8Array {
  const given: unknown = metainfo
  if (
    typeof given !== 'object' ||
    given === null ||
    !isBytes(metainfo.info) ||
    !Array.isArray(metainfo.announce)
  )
    throw invalid(`${show(given)} is no Metainfo`)
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
  // Keys stand in order: all of `before` sort ahead of `info`, all of `after` behind it.
  return new Uint8Array(
    Buffer.concat([before.subarray(0, -1), fromText('4:info'), metainfo.info, after.subarray(1)])
  )
}

function splitNode(node: string): BencodeInput {
  const colon = node.lastIndexOf(':')
  return [node.slice(0, colon).replace(/^\[|\]$/g, ''), Number(node.slice(colon + 1))]
}

function looseText(dict: BencodeDict, key: string): string | undefined {
  const raw = dict.bytes(`${key}.utf-8`) ?? dict.bytes(key)
  return raw === undefined ? undefined : new TextDecoder().decode(raw)
}

/** The texts of a byte string or of a list of them, trimmed, each once. */
function texts(value: BencodeValue | undefined): string[] {
  const found = new Set<string>()
  for (const item of Array.isArray(value) ? value : [value]) {
    if (found.size >= maxListed) break
    const text = isBytes(item) ? toText(item)?.trim() : undefined
    if (text !== undefined && text !== '') found.add(text)
  }
  return [...found]
}

function readTrackers(dict: BencodeDict): string[][] {
  const seen = new Set<string>()
  const tiers: string[][] = []
  for (const item of dict.list('announce-list') ?? []) {
    // Some writers forget the inner list; a bare URL is a tier of its own then.
    const tier = texts(item).filter((url) => !seen.has(url))
    for (const url of tier) seen.add(url)
    if (tier.length > 0) tiers.push(tier.slice())
    if (seen.size >= maxListed) break
  }
  if (tiers.length > 0) return tiers
  const url = dict.text('announce')?.trim()
  return url === undefined || url === '' ? [] : [[url]]
}

function readNodes(list: readonly BencodeValue[]): string[] {
  const found: string[] = []
  for (const item of list) {
    if (found.length >= maxListed) break
    if (!Array.isArray(item)) continue
    const [raw, port] = item
    const host = isBytes(raw) ? toText(raw) : undefined
    if (host === undefined || !/^[^\s/[\]]+$/.test(host)) continue
    if (typeof port === 'number' && port >= 1 && port <= 65535) found.push(formatAddress({ host, port }))
  }
  return found
}
