import { Layout, readSource } from '../index.ts'
import { formatMagnet, type Magnet, type Metainfo } from '../metainfo.ts'
import { formatAddress } from '../util/address.ts'
import { toHex } from '../util/bytes.ts'
import type { Command } from './command.ts'
import { formatBytes, formatCount } from './format.ts'
import { printable, printableJson } from './printable.ts'
import { commonOptions, proxyOption } from './shared-options.ts'
import { readReading, sourceArgument } from './source-argument.ts'

/** `piecewise info`. */
export const info: Command = {
  name: 'info',
  summary: 'shows the contents of a torrent or magnet link, without connecting to peers',
  usage: '<torrent|magnet|url> [options]',
  options: {
    json: { type: 'boolean', help: 'one JSON object on standard output' },
    ...proxyOption,
    ...commonOptions
  },
  examples: ['info film.torrent', "info 'magnet:?xt=urn:btih:...' --json"],
  async run(line, output) {
    const read = await readSource(sourceArgument(line), readReading(line))
    const facts = 'info' in read ? torrentFacts(read) : magnetFacts(read)
    if (line.has('json')) output.raw(`${printableJson(facts)}\n`)
    else output.raw(`${[...lines(facts)].join('\n')}\n`)
    return 0
  }
}

interface Facts {
  readonly name: string | undefined
  readonly infoHash: string | undefined
  readonly infoHashV2: string | undefined
  readonly length: number | undefined
  readonly pieceLength?: number
  readonly pieceCount?: number
  readonly private?: boolean
  readonly files?: readonly { readonly index: number; readonly path: string; readonly length: number }[]
  readonly select?: readonly { readonly first: number; readonly last: number }[]
  readonly trackers: readonly (readonly string[])[]
  readonly webSeeds: readonly string[]
  readonly peers?: readonly string[]
  readonly nodes?: readonly string[]
  readonly comment?: string | undefined
  readonly createdBy?: string | undefined
  readonly creationDate?: string | undefined
  readonly magnet: string
}

function torrentFacts(metainfo: Metainfo): Facts {
  const { infoHashes, name, pieceLength, pieces, announce, webSeeds, httpSeeds, nodes } = metainfo
  return {
    ...hashes(metainfo),
    name,
    length: new Layout(pieceLength, metainfo.files).dataLength,
    pieceLength,
    pieceCount: pieces.length / 20,
    private: metainfo.private,
    files: metainfo.files
      .filter(({ pad }) => !pad)
      .map((file, index) => ({ index, path: file.path, length: file.length })),
    trackers: announce,
    webSeeds: [...webSeeds, ...httpSeeds],
    nodes,
    comment: metainfo.comment,
    createdBy: metainfo.createdBy,
    creationDate: metainfo.creationDate?.toISOString(),
    magnet: formatMagnet({ infoHashes, name, trackers: announce.flat() })
  }
}

function magnetFacts(magnet: Magnet): Facts {
  return {
    ...hashes(magnet),
    name: magnet.name,
    length: magnet.length,
    select: (magnet.selectOnly ?? []).map(({ start, end }) => ({ first: start, last: end - 1 })),
    trackers: magnet.trackers.map((url) => [url]),
    webSeeds: magnet.webSeeds,
    peers: magnet.peers.map(formatAddress),
    magnet: formatMagnet(magnet)
  }
}

function hashes({ infoHashes }: Metainfo | Magnet): Pick<Facts, 'infoHash' | 'infoHashV2'> {
  const { v1, v2 } = infoHashes
  return { infoHash: v1 && toHex(v1), infoHashV2: v2 && toHex(v2) }
}

function* lines(facts: Facts): Generator<string> {
  const { length, pieceLength = 0, pieceCount = 0, files, trackers, select = [] } = facts
  const row = (title: string, value: string | undefined): string[] =>
    value === undefined || value === '' ? [] : [`${title.padEnd(14)}${printable(value)}`]
  yield* row('Name', facts.name)
  yield* row('Info hash', facts.infoHash)
  yield* row('Info hash v2', facts.infoHashV2)
  if (length !== undefined) yield* row('Size', `${formatBytes(length)} (${length} bytes)`)
  if (pieceCount > 0) yield* row('Pieces', `${pieceCount} of ${formatBytes(pieceLength)}`)
  yield* row('Private', facts.private ? 'yes: peers come from the trackers only' : undefined)
  yield* row(
    'Select',
    select.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
  )
  for (const [tier, urls] of trackers.entries()) {
    for (const url of urls) yield* row(trackers.length > 1 ? `Tracker ${tier + 1}` : 'Tracker', url)
  }
  for (const url of facts.webSeeds) yield* row('Web seed', url)
  for (const peer of facts.peers ?? []) yield* row('Peer', peer)
  for (const node of facts.nodes ?? []) yield* row('DHT node', node)
  yield* row('Comment', facts.comment)
  yield* row('Created by', facts.createdBy)
  yield* row('Created', facts.creationDate)
  yield* row('Magnet', facts.magnet)
  if (files === undefined) {
    yield 'A magnet link does not list the files; they are known once a peer has sent the metadata.'
    return
  }
  yield `${formatCount(files.length, 'file')}:`
  const width = `${files.length - 1}`.length
  for (const file of files) {
    yield `  ${`${file.index}`.padStart(width)}  ${formatBytes(file.length).padStart(9)}  ${printable(file.path)}`
  }
}
