import assert from 'node:assert/strict'
import test from 'node:test'
import { type BencodeInput, encode } from '../../lib/bencode/encode.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { fromText } from '../../lib/util/bytes.ts'

// The kinds of odd torrents that libtorrent, Transmission, rqbit and anacrolix/torrent keep as fixtures, made anew.

type Fields = Record<string, BencodeInput | undefined>

/** The info of one file of 425 bytes, changed. */
function one(changes: Fields = {}): Fields {
  return { length: 425, name: 'temp', 'piece length': 16384, pieces: new Uint8Array(20), ...changes }
}

/** The info of files of 425 bytes by their paths, or of what is given of them, changed. */
function many(files: (readonly string[] | Fields)[], changes: Fields = {}): Fields {
  const list = files.map((file) => (Array.isArray(file) ? { length: 425, path: file } : { ...file }))
  return one({ length: undefined, files: list, ...changes })
}

function bytesOf(info: Fields, besides: Fields = {}, after = ''): Uint8Array {
  return Buffer.concat([encode({ info, ...besides }), fromText(after)])
}

const accepted: [what: string, torrent: Uint8Array, paths: string[]][] = [
  ['one file', bytesOf(one()), ['temp']],
  ['one file in a list', bytesOf(many([['foo', 'bar']])), ['temp/foo/bar']],
  ['an absolute path', bytesOf(many([['abcde'], ['/foobar']])), ['temp/abcde', 'temp/foobar']],
  ['slashes as elements', bytesOf(many([['/', '/', 'bar']])), ['temp/_/_/bar']],
  ['backslashes as elements', bytesOf(many([['\\', '\\', 'bar']])), ['temp/_/_/bar']],
  ['a traversal', bytesOf(many([['..', '..', 'bar']])), ['temp/bar']],
  ['a traversal in an element', bytesOf(many([['foo/../../../bar', 'bar']])), ['temp/foo......bar/bar']],
  ['a traversal in the name', bytesOf(one({ name: 'temp/../../abc' })), ['temp....abc']],
  ['a name of two dots', bytesOf(many([['a']], { name: '..' })), ['_/a']],
  ['a name of NULs', bytesOf(one({ name: '\0\0\0\0' })), ['____']],
  ['a name that ends in a space', bytesOf(many([['a']], { name: 'foobar ' })), [`foobar${atEnd(' ')}/a`]],
  ['a name of a separator and more', bytesOf(many([['f'], ['.']], { name: '\\est2' })), ['est2/f', 'est2/_']],
  ['empty elements', bytesOf(many([['', '']])), ['temp/_/_']],
  ['two files without a name', bytesOf(many([['a'], [''], ['']])), ['temp/a', 'temp/_', 'temp/_.1']],
  [
    'equal paths',
    bytesOf(
      many([
        ['a', 'b.txt'],
        ['a', 'b.txt']
      ])
    ),
    ['temp/a/b.txt', 'temp/a/b.1.txt']
  ],
  [
    'paths that are equal once safe',
    bytesOf(
      many([
        ['/', 'foo'],
        ['\\', 'foo']
      ])
    ),
    ['temp/_/foo', 'temp/_/foo.1']
  ],
  ['bytes that are no UTF-8', bytesOf(many([['a']], { name: Uint8Array.of(0x66, 0xe4, 0xb8) })), ['f_/a']],
  ['padding of BitComet', bytesOf(many([['a'], ['_____padding_file_']])), ['temp/a']],
  ['padding without a path', bytesOf(many([['a'], { attr: 'p', length: 2124 }])), ['temp/a']],
  ['a link that has a length', bytesOf(many([['a'], { attr: 'l', length: 425, path: ['l'] }])), ['temp/a']],
  [
    'a link without a length',
    bytesOf(many([['a'], { attr: 'xl', path: ['l'], 'symlink path': ['a'] }])),
    ['temp/a']
  ],
  [
    'empty files',
    bytesOf(many([{ length: 0, path: ['e'] }, ['a'], { length: 0, path: ['f'] }])),
    ['temp/e', 'temp/a', 'temp/f']
  ],
  ['a piece length that is no power of two', bytesOf(one({ 'piece length': 16385 })), ['temp']],
  ['a piece of almost 512 MiB', bytesOf(one({ 'piece length': 536_854_528 })), ['temp']],
  ['files beside a length', bytesOf(many([['a']], { length: 5 })), ['temp/a']],
  ['keys that are not known', bytesOf(one({ similar: [''], collections: 'x', 'ssl-cert': '' })), ['temp']],
  ['bytes after it', bytesOf(one(), {}, '\n'), ['temp']],
  ['a hybrid', bytesOf(one({ 'meta version': 2, 'file tree': {} })), ['temp']],
  [
    'keys out of order',
    fromText(`d4:infod4:name1:a12:piece lengthi16384e6:lengthi5e6:pieces20:${'x'.repeat(20)}ee`),
    ['a']
  ],
  [
    'a key twice',
    fromText(`d4:infod6:lengthi5e4:name1:a4:name1:b12:piece lengthi16384e6:pieces20:${'x'.repeat(20)}ee`),
    ['a']
  ]
]
for (const [what, bytes, paths] of accepted) {
  test(`takes ${what}, as other clients do`, () => {
    const { files } = parseTorrent(bytes)
    assert.deepEqual(
      files.filter(({ pad }) => !pad).map(({ path }) => path),
      paths
    )
  })
}

/** What Windows takes off the end of names. */
function atEnd(text: string): string {
  return process.platform === 'win32' ? '' : text
}

const refused: [what: string, torrent: Uint8Array, code: string][] = [
  ['no dictionary', fromText('4:spam'), 'ERR_METAINFO_INVALID'],
  ['info that is no dictionary', encode({ info: 'x' }), 'ERR_METAINFO_INVALID'],
  ['an empty dictionary and a newline', fromText('de\n'), 'ERR_METAINFO_INVALID'],
  ['a newline before it', Buffer.concat([fromText('\n'), bytesOf(one())]), 'ERR_BENCODE_SYNTAX'],
  ['half of it', bytesOf(one()).subarray(0, 40), 'ERR_BENCODE_SYNTAX'],
  ['no name', bytesOf(one({ name: undefined })), 'ERR_METAINFO_INVALID'],
  ['a name that is a number', bytesOf(one({ name: 1348 })), 'ERR_METAINFO_INVALID'],
  ['no piece length', bytesOf(one({ 'piece length': undefined })), 'ERR_METAINFO_INVALID'],
  ['a piece length that is a text', bytesOf(one({ 'piece length': '16384' })), 'ERR_METAINFO_INVALID'],
  ['a negative piece length', bytesOf(one({ 'piece length': -16384 })), 'ERR_METAINFO_INVALID'],
  [
    'a piece length of 512 MiB and a byte',
    bytesOf(one({ 'piece length': 2 ** 29 + 1 })),
    'ERR_METAINFO_INVALID'
  ],
  ['pieces that are a number', bytesOf(one({ pieces: -23 })), 'ERR_METAINFO_INVALID'],
  ['no pieces', bytesOf(one({ pieces: undefined })), 'ERR_METAINFO_INVALID'],
  ['too few pieces', bytesOf(one({ pieces: '' })), 'ERR_METAINFO_INVALID'],
  ['too many pieces', bytesOf(one({ pieces: new Uint8Array(40) })), 'ERR_METAINFO_INVALID'],
  ['a part of a hash', bytesOf(one({ pieces: new Uint8Array(24) })), 'ERR_METAINFO_INVALID'],
  ['more pieces than anybody takes', bytesOf(one({ length: 1_759_218_597_889 })), 'ERR_METAINFO_INVALID'],
  ['a negative length', bytesOf(one({ length: -425 })), 'ERR_METAINFO_INVALID'],
  ['a length that is a text', bytesOf(many([{ length: '45', path: ['a'] }])), 'ERR_METAINFO_INVALID'],
  ['nothing to share', bytesOf(one({ length: 0, pieces: '' })), 'ERR_METAINFO_INVALID'],
  ['an empty list of files', bytesOf(many([])), 'ERR_METAINFO_INVALID'],
  ['a file without a path', bytesOf(many([{ length: 425 }])), 'ERR_METAINFO_INVALID'],
  ['a path with a number', bytesOf(many([{ length: 425, path: [1242, 'a'] }])), 'ERR_METAINFO_INVALID'],
  ['nesting without an end', fromText('l'.repeat(1000)), 'ERR_BENCODE_LIMIT'],
  [
    'version 2 alone',
    bytesOf({ 'meta version': 2, 'file tree': {}, name: 'a', 'piece length': 16384 }),
    'ERR_METAINFO_UNSUPPORTED'
  ]
]
for (const [what, bytes, code] of refused) {
  test(`refuses ${what}`, () => {
    assert.throws(() => parseTorrent(bytes), { name: 'TorrentError', code })
  })
}
