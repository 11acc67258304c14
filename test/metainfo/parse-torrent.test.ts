import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { type BencodeInput, encode } from '../../lib/bencode/encode.ts'
import { layoutOf } from '../../lib/metainfo/layout.ts'
import { maxHostBytes, maxPathElements, maxReadElementBytes, maxUrlBytes } from '../../lib/metainfo/limits.ts'
import { parseInfo } from '../../lib/metainfo/parse-info.ts'
import { formatTorrent, parseTorrent, parseTorrentInSlices } from '../../lib/metainfo/parse-torrent.ts'
import { fromText, toHex } from '../../lib/util/bytes.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { fc } from '../support/fast-check.ts'
import { torrentOfFiles } from '../support/large-torrents.ts'

type Fields = Record<string, BencodeInput | undefined>

const single: Fields = {
  length: 40000,
  name: 'a.bin',
  'piece length': 16384,
  pieces: new Uint8Array(60).fill(7)
}

function multi(files: Fields[], extra: Fields = {}): Fields {
  const length = files.reduce((sum, file) => sum + Number(file['length'] ?? 0), 0)
  const pieces = extra['pieces'] ?? new Uint8Array(20 * Math.ceil(length / 16384))
  return { files, name: 'dir', 'piece length': 16384, ...extra, pieces }
}

function torrent(info: Fields, extra: Fields = {}): Uint8Array {
  return encode({ announce: 'http://tracker/announce', info, ...extra })
}

test('a torrent of one file', () => {
  const metainfo = parseTorrent(
    torrent(single, { comment: 'hi', 'created by': 'me', 'creation date': 1700000000 })
  )
  assert.equal(metainfo.name, 'a.bin')
  assert.equal(metainfo.length, 40000)
  assert.equal(metainfo.pieceLength, 16384)
  assert.deepEqual(metainfo.pieces, new Uint8Array(60).fill(7))
  assert.equal(metainfo.singleFile, true)
  assert.equal(metainfo.private, false)
  const flags = { pad: false, executable: false, hidden: false }
  assert.deepEqual(metainfo.files, [{ path: 'a.bin', name: 'a.bin', length: 40000, offset: 0, ...flags }])
  assert.deepEqual(metainfo.announce, [['http://tracker/announce']])
  assert.equal(metainfo.comment, 'hi')
  assert.equal(metainfo.createdBy, 'me')
  assert.deepEqual(metainfo.creationDate, new Date(1700000000000))
  assert.deepEqual(metainfo.info, encode(single))
  assert.deepEqual(metainfo.infoHashes, {
    v1: new Uint8Array(createHash('sha1').update(encode(single)).digest())
  })
  assert.equal(layoutOf(metainfo).pieceCount, 3)
})

test('a torrent of a folder, with flags and padding (BEP 47)', () => {
  const metainfo = parseTorrent(
    torrent(
      multi(
        [
          { length: 10, path: ['sub', 'run.sh'], attr: 'xh' },
          { length: 16374, path: ['.pad', '16374'], attr: 'p' },
          { length: 0, path: ['empty'] },
          { length: 100, path: ['link'], attr: 'l', 'symlink path': ['sub', 'run.sh'] },
          { length: 5, path: ['_____padding_file_0_if you see this'] },
          { length: 20000, path: ['sub', 'b'] }
        ],
        { private: 1, pieces: new Uint8Array(60) }
      )
    )
  )
  assert.equal(metainfo.singleFile, false)
  assert.equal(metainfo.private, true)
  assert.deepEqual(
    metainfo.files.map(({ path, offset, length, pad }) => [path, offset, length, pad]),
    [
      ['dir/sub/run.sh', 0, 10, false],
      ['dir/.pad/16374', 10, 16374, true],
      ['dir/empty', 16384, 0, false],
      ['dir/_____padding_file_0_if you see this', 16384, 5, true],
      ['dir/sub/b', 16389, 20000, false]
    ]
  )
  assert.deepEqual([metainfo.files[0]?.executable, metainfo.files[0]?.hidden], [true, true])
  assert.equal(metainfo.files[4]?.name, 'b')
})

test('paths cannot leave the folder, and are unique', () => {
  const paths = [
    ['..', '..', 'etc', 'passwd'],
    ['', 'etc', 'shadow'],
    ['a/../b'],
    ['..'],
    ['x'],
    ['X'],
    ['x', 'y']
  ]
  const { files } = parseTorrent(
    torrent(
      multi(
        paths.map((path) => ({ length: 1, path })),
        { name: '..', pieces: new Uint8Array(20) }
      )
    )
  )
  assert.deepEqual(
    files.map(({ path }) => path),
    ['_/etc/passwd', '_/_/etc/shadow', '_/a..b', '_/_.1', '_/x.1', '_/X.2', '_/x/y']
  )
})

test('UTF-8 names take precedence, and an empty name becomes the info hash', () => {
  const legacy = Uint8Array.of(0xc4, 0xe3)
  const info = multi([{ length: 1, path: [legacy], 'path.utf-8': ['你'] }], {
    name: legacy,
    'name.utf-8': '好'
  })
  assert.equal(parseTorrent(torrent(info)).files[0]?.path, '好/你')
  const unnamed = parseTorrent(torrent({ ...single, name: '' }))
  assert.equal(unnamed.name, toHex(unnamed.infoHashes.v1 ?? new Uint8Array()))
})

const privacy: [string, BencodeInput | undefined, boolean][] = [
  ['1', 1, true],
  ['2', 2, true],
  ['-1', -1, true],
  ['2^70', 2n ** 70n, true],
  ['0', 0, false],
  ['nothing', undefined, false],
  ['a text', '1', false],
  ['a list', [1], false]
]
for (const [what, value, expected] of privacy) {
  test(`private of ${what} is ${expected}`, () => {
    assert.equal(parseTorrent(torrent({ ...single, private: value })).private, expected)
  })
}

const followers: [string, string | Uint8Array][] = [
  ['a newline', '\n'],
  ['CR and LF', '\r\n'],
  ['zeros', new Uint8Array(5000)],
  ['markup', '<!-- saved from a page -->'],
  ['another value', 'd1:ai1ee']
]
for (const [what, raw] of followers) {
  test(`${what} after a .torrent changes nothing; after an info dictionary of peers it does`, () => {
    const after = typeof raw === 'string' ? fromText(raw) : raw
    const bytes = torrent(single, { comment: 'x' })
    assert.deepEqual(parseTorrent(Buffer.concat([bytes, after])), parseTorrent(bytes))
    assert.throws(() => parseInfo(Buffer.concat([encode(single), after])), { code: 'ERR_BENCODE_SYNTAX' })
  })
}

test('pad files need no path, and files after links keep their index', () => {
  const { files } = parseTorrent(
    torrent(
      multi(
        [
          { attr: 'p', length: 16000 },
          { attr: 'l', path: ['link'], 'symlink path': ['a'] },
          { attr: 'p', length: 16000, path: [] },
          { length: 1, path: ['a'] }
        ],
        { pieces: new Uint8Array(40) }
      )
    )
  )
  assert.deepEqual(
    files.map(({ path, pad, listIndex }) => [path, pad, listIndex]),
    [
      ['dir/.pad/16000', true, undefined],
      ['dir/.pad/16000.1', true, 2],
      ['dir/a', false, 3]
    ]
  )
})

test('trackers by tier, each once (BEP 12)', () => {
  const extra = {
    'announce-list': [[' http://a ', 'http://b'], [], [Uint8Array.of(0xff), 'http://a'], 'http://c', 5]
  }
  assert.deepEqual(parseTorrent(torrent(single, extra)).announce, [['http://a', 'http://b'], ['http://c']])
  assert.deepEqual(parseTorrent(torrent(single, { 'announce-list': [] })).announce, [
    ['http://tracker/announce']
  ])
  assert.deepEqual(parseTorrent(encode({ info: single })).announce, [])
})

test('web seeds, HTTP seeds and nodes (BEP 19, 17, 5)', () => {
  const metainfo = parseTorrent(
    torrent(single, {
      'url-list': ['http://w/', 'http://w/', ''],
      httpseeds: ['http://h/'],
      nodes: [['router', 6881], ['::1', 1], ['a b', 1], ['x', 0], ['y', 65536], 'z', [1, 2]]
    })
  )
  assert.deepEqual(metainfo.webSeeds, ['http://w/'])
  assert.deepEqual(metainfo.httpSeeds, ['http://h/'])
  assert.deepEqual(metainfo.nodes, ['router:6881', '[::1]:1'])
  assert.deepEqual(parseTorrent(torrent(single, { 'url-list': 'http://one/' })).webSeeds, ['http://one/'])
})

test('lists are bounded', () => {
  const urls = Array.from({ length: 3000 }, (_, n) => `http://t/${n}`)
  const many = parseTorrent(
    torrent(single, {
      'announce-list': urls.map((url) => [url]),
      'url-list': urls,
      nodes: urls.map((_, n) => ['h', n + 1])
    })
  )
  assert.deepEqual([many.announce.length, many.webSeeds.length, many.nodes.length], [1000, 1000, 1000])
})

test('useless fields are ignored', () => {
  const extra = {
    comment: 5,
    'created by': Uint8Array.of(0xff),
    'creation date': 2 ** 52,
    nodes: 'x',
    'url-list': 7
  }
  const metainfo = parseTorrent(torrent(single, extra))
  assert.equal('comment' in metainfo, false)
  assert.equal(metainfo.createdBy, '\ufffd')
  assert.equal('creationDate' in metainfo, false)
  assert.deepEqual([metainfo.nodes, metainfo.webSeeds], [[], []])
})

test('the info hash is that of the raw bytes, also irregular ones', () => {
  const info = fromText(`d12:piece lengthi016384e6:lengthi5e4:name1:a6:pieces20:${'x'.repeat(20)}e`)
  const bytes = Buffer.concat([fromText('d4:info'), info, fromText('1:zi0ee')])
  const { infoHashes, info: kept } = parseTorrent(bytes)
  assert.deepEqual(infoHashes.v1, new Uint8Array(createHash('sha1').update(info).digest()))
  bytes.fill(0)
  assert.deepEqual(kept, info)
})

test('a hybrid is read as v1 and has both hashes', () => {
  const info = { ...single, 'meta version': 2, 'file tree': {} }
  const { infoHashes } = parseTorrent(torrent(info))
  assert.equal(infoHashes.v1?.length, 20)
  assert.deepEqual(infoHashes.v2, new Uint8Array(createHash('sha256').update(encode(info)).digest()))
})

const unsupported: [string, Fields][] = [
  ['v2 alone', { ...single, pieces: undefined, 'meta version': 2, 'file tree': {} }],
  ['a later version', { ...single, 'meta version': 3 }],
  ['a version that is no number', { ...single, 'meta version': 'x' }]
]
for (const [what, info] of unsupported) {
  test(`says that ${what} is not supported`, () => {
    assert.throws(() => parseTorrent(torrent(info)), { code: 'ERR_METAINFO_UNSUPPORTED' })
  })
}

const invalid: [string, Fields, RegExp][] = [
  ['pieces missing', { ...single, pieces: undefined }, /'pieces'/],
  ['pieces a list', { ...single, pieces: [] }, /'pieces'/],
  ['pieces too short', { ...single, pieces: new Uint8Array(59) }, /59 bytes where .* need 60/],
  ['pieces for other lengths', { ...single, pieces: new Uint8Array(80) }, /80 bytes/],
  ['no piece length', { ...single, 'piece length': undefined }, /'piece length' .*missing/],
  ['piece length 0', { ...single, 'piece length': 0 }, /not 0/],
  ['a negative piece length', { ...single, 'piece length': -16384 }, /not -16384/],
  ['a huge piece length', { ...single, 'piece length': 2 ** 30 }, /not 1073741824/],
  ['a textual piece length', { ...single, 'piece length': '16384' }, /another type/],
  ['too many pieces', { ...single, length: 2 ** 36, 'piece length': 1 }, /68719476736 pieces/],
  ['no name', { ...single, name: undefined }, /'name'/],
  ['a name that is a number', { ...single, name: 5 }, /'name'/],
  ['no length', { ...single, length: undefined }, /length of the file/],
  ['a negative length', { ...single, length: -1 }, /not -1/],
  ['a length beyond 2^53', { ...single, length: 2n ** 60n }, /not 1152921504606846976/],
  ['nothing to share', { ...single, length: 0, pieces: '' }, /no bytes/],
  ['files that are a number', { ...single, files: 3 }, /'files'/],
  ['no files', multi([]), /'files' is empty/],
  ['only a link', multi([{ attr: 'l', path: ['a'] }]), /no bytes/],
  ['a file that is a list', { ...single, files: [[]] }, /file 0 is not a dictionary/],
  ['a file without path', multi([{ length: 1, path: ['a'] }, { length: 1 }]), /path of file 1/],
  ['a file with an empty path', multi([{ length: 1, path: [] }]), /path of file 0/],
  ['a path of numbers', multi([{ length: 1, path: [1] }]), /path of file 0/],
  ['a deep path', multi([{ length: 1, path: Array(101).fill('a') }]), /more than 100 elements/],
  ['a file without length', multi([{ path: ['a'] }]), /length of file 0/],
  [
    'lengths that overflow together',
    multi(Array(3).fill({ length: 2 ** 52, path: ['a'] }), { pieces: '' }),
    /2\^53/
  ]
]
for (const [what, info, message] of invalid) {
  test(`refuses ${what}`, () => {
    assert.throws(() => parseTorrent(torrent(info)), { code: 'ERR_METAINFO_INVALID', message })
    assert.throws(() => parseInfo(encode(info)), { code: 'ERR_METAINFO_INVALID', message })
  })
}

test('refuses input other than a torrent', () => {
  assert.throws(() => parseTorrent(fromText('<html>')), { code: 'ERR_BENCODE_SYNTAX' })
  assert.throws(() => parseTorrent(fromText('i1e')), { code: 'ERR_METAINFO_INVALID' })
  assert.throws(() => parseTorrent(encode({ info: [] })), { code: 'ERR_METAINFO_INVALID' })
  assert.throws(() => parseInfo(fromText('le')), { code: 'ERR_METAINFO_INVALID' })
  assert.throws(() => parseTorrent(new Uint8Array(2 ** 26 + 1)), {
    code: 'ERR_METAINFO_INVALID',
    message: /67108865/
  })
})

test('parseInfo returns the same as parseTorrent, without trackers', () => {
  const whole = parseTorrent(torrent(single))
  assert.deepEqual(parseInfo(encode(single)), { ...whole, announce: [] })
})

test('formatTorrent keeps everything that was read', () => {
  const full = torrent(multi([{ length: 1, path: ['a'] }], { source: 'kept', 'x-unknown': { a: 1 } }), {
    'announce-list': [['http://a', 'http://b'], ['udp://c:1']],
    announce: 'http://a',
    comment: 'ž',
    'created by': 'me',
    'creation date': 1700000000,
    httpseeds: ['http://h/'],
    nodes: [['::1', 6881]],
    'url-list': ['http://w/']
  })
  assert.deepEqual(formatTorrent(parseTorrent(full)), full)
  assert.deepEqual(formatTorrent(parseTorrent(torrent(single))), torrent(single))
  assert.deepEqual(formatTorrent(parseInfo(encode(single))), encode({ info: single }))
})

test('20,000 files in 150,000 pieces are read', () => {
  const files = Array.from({ length: 20_000 }, (_, n) => ({
    length: 122_880,
    path: [`dir${n % 50}`, `file${n}.bin`]
  }))
  const metainfo = parseTorrent(torrent(multi(files)))
  assert.equal(metainfo.files.length, 20_000)
  assert.equal(layoutOf(metainfo).pieceCount, 150_000)
})

test('a torrent with a changed byte is read or refused, never a crash', () => {
  const bytes = torrent(
    multi([
      { length: 10, path: ['a', 'b'] },
      { length: 20, path: ['c'] }
    ]),
    { nodes: [['h', 1]] }
  )
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
      const changed = cut ? bytes.slice(0, at) : bytes.slice()
      if (!cut) changed[at] = byte
      try {
        parseTorrent(changed)
      } catch (error) {
        assert.ok(error instanceof TorrentError, String(error))
      }
    }),
    { numRuns: 3000 }
  )
})

/** Returns files whose paths have this many elements in total, at most 100 each. */
function pathsOf(elements: number): Uint8Array {
  const path = `l${'1:a'.repeat(100)}e`
  const files = `d6:lengthi1e4:path${path}e`.repeat(Math.floor(elements / 100))
  const rest = elements % 100 === 0 ? '' : `d6:lengthi1e4:pathl${'1:a'.repeat(elements % 100)}ee`
  return torrentOfFiles(Buffer.from(files + rest))
}

test('paths have at most 2,000,000 elements in total, unless an earlier version accepted the torrent', async () => {
  const refused = {
    code: 'ERR_METAINFO_INVALID',
    message: /paths of its files have more than 2000000 elements/
  }
  const bytes = pathsOf(maxPathElements + 1)
  assert.throws(() => parseTorrent(bytes), refused)
  await assert.rejects(parseTorrentInSlices(bytes), refused)
  assert.equal((await parseTorrentInSlices(bytes, { unlimited: true })).files.length, 20_001)
  assert.equal(parseTorrent(pathsOf(maxPathElements)).files.length, 20_000)
})

test('URLs and hosts that are too long are ignored', () => {
  const [host, url] = ['h'.repeat(maxHostBytes), `http://${'u'.repeat(maxUrlBytes - 7)}`]
  const metainfo = parseTorrent(
    torrent(single, {
      announce: `${url}u`,
      'url-list': [url, `${url}u`],
      nodes: [
        [host, 1],
        [`${host}h`, 1]
      ]
    })
  )
  assert.deepEqual(metainfo.webSeeds, [url])
  assert.deepEqual(metainfo.nodes, [`${host}:1`])
  assert.deepEqual(metainfo.announce, [])
})

test('a long name keeps its beginning and its extension, however long', () => {
  for (const length of [256, maxReadElementBytes, maxReadElementBytes + 1, 100_000]) {
    const [file] = parseTorrent(torrent({ ...single, name: `${'n'.repeat(length)}.mkv` })).files
    assert.equal(file?.path, `${'n'.repeat(251)}.mkv`)
  }
})

test('a comment of several parts is read completely', () => {
  const comment = 'ž映'.repeat(200_000)
  assert.equal(parseTorrent(torrent(single, { comment })).comment, comment)
})
