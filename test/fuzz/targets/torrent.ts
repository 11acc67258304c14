import { decodeDetailed } from '../../../lib/bencode/decode.ts'
import { encode } from '../../../lib/bencode/encode.ts'
import type { Metainfo } from '../../../lib/metainfo/metainfo.ts'
import { parseInfo, parseInfoInSlices } from '../../../lib/metainfo/parse-info.ts'
import {
  formatTorrent,
  parseTorrent,
  parseTorrentInSlices,
  parseTorrentSteps
} from '../../../lib/metainfo/parse-torrent.ts'
import { respellSteps } from '../../../lib/metainfo/respell.ts'
import { readTree, writeTree } from '../bencode-tree.ts'
import type { Check, Target } from '../target.ts'
import { checkPath } from './path.ts'

const words = [
  ...[
    'info',
    'name',
    'name.utf-8',
    'files',
    'length',
    'path',
    'path.utf-8',
    'pieces',
    'piece length',
    'attr',
    'private'
  ],
  ...[
    'announce',
    'announce-list',
    'url-list',
    'httpseeds',
    'nodes',
    'comment',
    'created by',
    'creation date'
  ],
  ...[
    'meta version',
    'file tree',
    'symlink path',
    'md5sum',
    '..',
    '.',
    '.piecewise',
    'PIECEW~1',
    'CON',
    '.pad',
    'p',
    'lxh'
  ],
  '_____padding_file_0'
]

/**
 * .torrent files: parsed at once and in slices; safe unique paths. The output of formatTorrent() parses to
 * the same.
 */
export const torrent: Target = {
  name: 'torrent',
  grammar: 'bencode',
  corpus: ['torrent'],
  words,
  maxBytes: 2 << 20,
  async run(input, check) {
    const fixed = withPieces(input)
    check.steps(parseTorrentSteps(fixed))
    const metainfo = await check.turns(() => parseTorrentInSlices(fixed))
    checkMetainfo(metainfo, check)
    check.equal(parseTorrent(fixed), metainfo, 'sliced parsing gives another torrent')
    const again = parseTorrent(formatTorrent(metainfo))
    check.equal(again.infoHashes, metainfo.infoHashes, 'formatTorrent() changes the info hash')
    check.equal(
      { ...again, creationDate: undefined },
      { ...metainfo, creationDate: undefined },
      'parseTorrent(formatTorrent(x)) is not x'
    )
    return metainfo
  }
}

/** The `info` dictionary as peers send it. */
export const info: Target = {
  name: 'info',
  grammar: 'bencode',
  corpus: ['torrent'],
  words,
  maxBytes: 2 << 20,
  async run(input, check) {
    const bytes = infoOf(withPieces(input))
    const metainfo = await check.turns(() => parseInfoInSlices(bytes))
    checkMetainfo(metainfo, check)
    check.equal(parseInfo(bytes), metainfo, 'sliced parsing gives another torrent')
    for (const spelling of ['0.1', 'original'] as const) {
      const other = check.steps(respellSteps(metainfo, spelling))
      checkMetainfo(other, check)
      const back = check.steps(respellSteps(other, '0.2'))
      check.equal(back, metainfo, 'another spelling and back is another torrent')
    }
    return metainfo
  }
}

/** Returns the info dictionary of a .torrent, or the input itself. */
function infoOf(input: Uint8Array): Uint8Array {
  const tree = readTree(input)
  if (tree?.root.kind !== 'dict') return input
  const found = tree.root.entries.find(
    ([key]) => key.kind === 'string' && Buffer.from(key.bytes).toString() === 'info'
  )
  return found === undefined ? input : writeTree({ root: found[1], rest: new Uint8Array() })
}

/**
 * Returns the .torrent with as many piece hashes as its lengths need, so that mutated lengths get further;
 * occasionally unchanged.
 */
function withPieces(input: Uint8Array): Uint8Array {
  if (input.length % 8 === 0) return input
  const text = Buffer.from(input).toString('latin1')
  const said = /'pieces' has \d+ bytes where .* need (\d+)/.exec(refusalOf(input))?.[1]
  const head = /6:pieces(\d{1,6}):/.exec(text)
  const need = Number(said)
  if (!(need <= 1 << 18) || head === null) return input
  const start = head.index + head[0].length
  return new Uint8Array(
    Buffer.from(
      `${text.slice(0, head.index)}6:pieces${need}:${'p'.repeat(need)}${text.slice(start + Number(head[1]))}`,
      'latin1'
    )
  )
}

function refusalOf(input: Uint8Array): string {
  try {
    parseTorrent(input)
    return ''
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : ''
  }
}

function checkMetainfo(metainfo: Metainfo, check: Check): void {
  const { files, length, pieceLength, pieces, info: bytes, name } = metainfo
  checkPath(name, check)
  check.that(!name.includes('/'), 'a name has several elements')
  check.equal(
    pieces.length,
    20 * Math.ceil(length / pieceLength),
    'the number of hashes is not that of pieces'
  )
  const folded = new Set<string>()
  let offset = 0
  for (const file of files) {
    checkPath(file.path, check)
    check.that(metainfo.singleFile || file.path.startsWith(`${name}/`), 'a path does not begin with the name')
    check.equal(file.offset, offset, 'files do not follow one another')
    offset += file.length
    folded.add(file.path.toUpperCase().toLowerCase().normalize('NFC'))
  }
  check.equal(folded.size, files.length, 'two files have one path')
  check.equal(offset, length, 'the length is not that of the files')
  check.that(length > 0 && Number.isSafeInteger(length), 'the length is out of bounds')
  check.equal(decodeDetailed(bytes).end, bytes.length, 'info is more than its dictionary')
  check.that(metainfo.announce.flat().length <= 2000, 'more trackers than the limit')
  encode(metainfo.announce)
}
